"""What is taken from a form: only from one that a page of ours has shown to whoever sends it.

A form bears a token that other sites cannot read; besides, the browser's own word about where it comes from must fit
(``Sec-Fetch-Site``, else ``Origin``), as OWASP's cheat sheet on cross-site request forgery advises. Bodies are small.
"""

import asyncio
import hmac
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from syncd.errors import SyncdError
from syncd.sealing import Entropy
from syncd.settings import Server

LONGEST = 4096  # bytes
READ_S = 10.0
MOST_FIELDS = 10
TYPE = "application/x-www-form-urlencoded"
TOKEN_FIELD = "form_token"  # noqa: S105  # the field's name


class NotOurForm(SyncdError):
    """What was sent is not one of our forms; ``status`` is the answer's."""

    def __init__(self, text: str, status: int = 403) -> None:
        super().__init__(text)
        self.status = status


class Forms:
    """Makes the token of this process's forms, and reads what comes back. After a restart pages must be loaded anew."""

    def __init__(self, server: Server, entropy: Entropy) -> None:
        self.token = entropy(32).hex()
        self._public = _place(server.public_url or "")

    async def read(self, request: Request) -> dict[str, str]:
        """The fields of one of our forms, the first of each name; raises ``NotOurForm``."""
        fields = await self.read_unproven(request)
        if not hmac.compare_digest(fields.pop(TOKEN_FIELD, "").encode(), self.token.encode()):
            raise NotOurForm("This form is older than the running syncd, or not its own. Load the page again.")
        return fields

    async def read_unproven(self, request: Request) -> dict[str, str]:
        """The fields of a form that says who somebody is, and so bears no token; raises ``NotOurForm``."""
        if not self._is_from_our_page(request):
            raise NotOurForm("This form was sent by another site.")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != TYPE:
            raise NotOurForm("This is not a form.", 415)
        try:
            text = (await _body(request)).decode()
            fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
        except ValueError as error:
            raise NotOurForm("This is not a form.", 400) from error
        if not all(part.isprintable() for field in fields for part in field):
            raise NotOurForm("This form holds control characters.", 400)
        return dict(reversed(fields))

    def _is_from_our_page(self, request: Request) -> bool:
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site is not None and site != "same-origin":
            return False
        if site is not None or origin is None:
            return True
        return _place(origin) in {request.headers.get("host", "").lower(), self._public} - {""}


def _place(address: str) -> str:
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return ""


async def _body(request: Request) -> bytes:
    taken = bytearray()
    try:
        async with asyncio.timeout(READ_S):
            async for part in request.stream():
                taken += part
                if len(taken) > LONGEST:
                    raise NotOurForm("This form is too long.", 413)
    except TimeoutError as error:
        raise NotOurForm("This form came too slowly.", 408) from error
    return bytes(taken)
