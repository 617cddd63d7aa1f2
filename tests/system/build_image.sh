#!/bin/sh
# Builds the image of the Dockerfile where no registry of images can be reached, as root on Debian, and looks at it:
#
#   sh tests/system/build_image.sh FOLDER          (an empty or new folder for about 2 GB)
#
# Debian's mmdebstrap makes the base, which stands in for python:3.11-slim-bookworm: the same Debian, and at /usr/local
# the Python that runs here. buildah carries out the Dockerfile over it, unchanged, in a chroot; no daemon is needed.
# It wants the packages buildah and mmdebstrap, and a Python 3.11 under a folder of its own (not /usr).
set -eu
folder=$1
project=$(cd "$(dirname "$0")/../.." && pwd)
base=python:3.11-slim-bookworm
mkdir -p "$folder"
export BUILDAH_ISOLATION=chroot
in_storage() { command=$1; shift; buildah --root "$folder/storage" --runroot "$folder/run" "$command" "$@"; }

if [ ! -f "$folder/base.tar" ]; then
    mmdebstrap --quiet --variant=minbase \
        --include=ca-certificates,libbz2-1.0,libffi8,liblzma5,libreadline8,libsqlite3-0,libssl3,netbase,tzdata,zlib1g \
        bookworm "$folder/base.tar"
fi

if ! in_storage inspect --type image "$base" >/dev/null 2>&1; then
    python=$("${PYTHON:-python3.11}" -c 'import sys; print(sys.base_prefix)')
    container=$(in_storage from scratch)
    in_storage add --quiet "$container" "$folder/base.tar" /
    root=$(in_storage mount "$container")
    for part in bin lib; do
        (cd "$python" && tar -c --exclude='__pycache__' --exclude='test' --exclude='tests' --exclude='idlelib' \
            --exclude='*.a' --exclude='site-packages' "$part") | tar -x -C "$root/usr/local" --no-same-owner
    done
    mkdir -p "$root/usr/local/lib/python3.11/site-packages"
    ln -sf python3.11 "$root/usr/local/bin/python"
    chroot "$root" ldconfig
    chroot "$root" /usr/local/bin/python3.11 -m ensurepip >/dev/null
    in_storage config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    in_storage umount "$container" >/dev/null
    in_storage commit --quiet --rm "$container" "$base" >/dev/null
fi

# How this machine reaches the index of packages is its own business, and stays out of the image.
set -- --volume /etc/ssl/certs:/etc/ssl/certs:ro
[ ! -f /etc/pip.conf ] || set -- "$@" --volume /etc/pip.conf:/etc/pip.conf:ro
in_storage bud --pull-never --quiet --network host --format docker "$@" --tag syncd:here "$project" >/dev/null

container=$(in_storage from --pull-never syncd:here)
root=$(in_storage mount "$container")
echo "root=$root"
echo "container=$container"
in_storage inspect --type image --format 'user={{.OCIv1.Config.User}} entry={{.OCIv1.Config.Entrypoint}}' syncd:here
echo "whole=$(du -sm "$root" | cut -f1) MB, of which /opt/syncd $(du -sm "$root/opt/syncd" | cut -f1) MB"
echo "setuid=$(find "$root" -xdev -perm /6000 -type f | wc -l)"
