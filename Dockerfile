# The image of the daemon: one environment from the hash-locked file, an unprivileged user, nothing to build with.
# It writes to /data only, so the rest may be mounted read-only:
#   docker run --read-only -v syncd:/data -v ./config.toml:/etc/syncd/config.toml:ro -p 8080:8080 syncd

# The Python that the tests run on.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/syncd
COPY requirements.lock ./
RUN /opt/syncd/bin/pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md ./
COPY syncd syncd
COPY connectors connectors
COPY mappings mappings
RUN /opt/syncd/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/syncd/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="syncd" \
      org.opencontainers.image.description="Keeps jobs, candidates and stage moves in step between hiring systems"

RUN python -m pip uninstall --yes --root-user-action ignore wheel setuptools pip \
    && rm -rf /usr/local/lib/python3.11/ensurepip \
    && groupadd --gid 10001 syncd \
    && useradd --uid 10001 --gid syncd --no-create-home --home-dir /data --shell /usr/sbin/nologin syncd \
    && install --directory --owner=syncd --group=syncd --mode=0700 /data

COPY --from=build /opt/syncd /opt/syncd
ENV PATH=/opt/syncd/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SYNCD_CONFIG=/etc/syncd/config.toml \
    SYNCD_SERVER__LISTEN=0.0.0.0:8080

# Here the store is where no config says otherwise: sqlite:///syncd.db is /data/syncd.db.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['SYNCD_SERVER__LISTEN'].rpartition(':')[2] + '/healthz', timeout=4)"]
ENTRYPOINT ["syncd"]
CMD ["serve"]
