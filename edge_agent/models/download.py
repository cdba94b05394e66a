"""Fetches a bundle from the cloud: over HTTPS, going on where it was cut off, and whole or not at all. Blocking."""

import os
import ssl
import urllib.error
import urllib.request
from hashlib import sha256
from http.client import HTTPException
from typing import IO, Final

from contract.model_orders import TOKEN_HEADER, BundleFile
from edge_agent.identity.cloud_calls import CloudAddress
from edge_agent.models.folder import BundleFolder
from kit.errors import ZhisanError

TIMEOUT_S: Final = 20.0
CHUNK_BYTES: Final = 64 * 1024
REFUSED: Final = frozenset({401, 403, 404, 410})


class DownloadError(ZhisanError):
    """The bundle is not here yet; with `is_final` the cloud has said no, and only a new order can change that."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


def download(address: CloudAddress, file: BundleFile, folder: BundleFolder) -> int:
    """Fetch what is missing of a bundle and put it in place; the bytes that came over the line.

    Raises:
        DownloadError: the line broke (what has come is kept), the cloud refuses, or the content is another.
    """
    part = folder.part_of(file.bundle_id)
    folder.path.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    if have > file.size_bytes:
        part.unlink()
        have = 0
    came = _fetch(address, file, folder, have) if have < file.size_bytes else 0
    if (size_bytes := part.stat().st_size) < file.size_bytes:
        raise DownloadError(f"bundle {file.bundle_id} was cut off after {size_bytes} of {file.size_bytes} bytes")
    if sha256(part.read_bytes()).hexdigest() != file.sha256:
        part.unlink()
        raise DownloadError(f"bundle {file.bundle_id} came with other content than the order says; it is fetched again")
    part.replace(folder.file_of(file.bundle_id))
    return came


def _fetch(address: CloudAddress, file: BundleFile, folder: BundleFolder, have: int) -> int:
    headers = {TOKEN_HEADER: file.token, "Accept": "application/zip"}
    if have:
        headers["Range"] = f"bytes={have}-"
    url = address.url.rstrip("/") + file.path
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - CloudAddress has looked
    context = ssl.create_default_context(cafile=address.ca_file or None)
    opener = urllib.request.build_opener(_NoRedirect(), urllib.request.HTTPSHandler(context=context))
    part = folder.part_of(file.bundle_id)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            is_rest = response.status == 206
            with part.open("ab" if is_rest else "wb") as out:
                return _copy(response, out, file.size_bytes - (have if is_rest else 0))
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:
                part.unlink(missing_ok=True)
            raise DownloadError(f"{url} answers {error.code}", is_final=error.code in REFUSED) from error
    except (OSError, HTTPException) as error:
        raise DownloadError(f"{url}: {getattr(error, 'reason', None) or error!r}") from error


def _copy(response: IO[bytes], out: IO[bytes], bytes_max: int) -> int:
    """What has come stays on disk however this ends: the next try goes on behind it."""
    came = 0
    while chunk := response.read(CHUNK_BYTES):
        came += len(chunk)
        if came > bytes_max:
            raise DownloadError("the cloud sends more than the order says")
        out.write(chunk)
    out.flush()
    os.fsync(out.fileno())
    return came


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes to the cloud that was named, and to no other."""

    def redirect_request(self, *_arguments: object, **_options: object) -> None:
        """Follow nothing: the answer 3xx becomes an error."""
