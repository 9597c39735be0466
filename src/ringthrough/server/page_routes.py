"""The web client: its built files, read once at the start and served from memory on the same port as everything else.

They come from the package's folder `web` (in a wheel), from `web/dist` of a checkout, or from an option. Without any
of them the server still serves everything else.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from .http import SECURITY_HEADERS, Auth, Handler, Route

PACKAGE = Path(__file__).resolve().parents[1] / "web"
CHECKOUT = Path(__file__).resolve().parents[3] / "web" / "dist"

LOCAL_SOURCES = "ws://localhost:* ws://127.0.0.1:* http://localhost:* http://127.0.0.1:*"
PAGE_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        f"connect-src 'self' https: wss: {LOCAL_SOURCES}",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""A conversation may live on another server, so the page may connect to any over TLS; code comes from here only."""

PAGE_HEADERS = SECURITY_HEADERS | {
    "Content-Security-Policy": PAGE_CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(self), autoplay=(self), geolocation=(), payment=(), usb=()",
}
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
_HASHED = re.compile(r"assets/.*-[A-Za-z0-9_-]{8,}\.\w+")
_COMPRESSED = {".js", ".mjs", ".css", ".html", ".svg", ".json", ".webmanifest", ".wasm", ".txt", ".map"}
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"} | {
    ".wasm": "application/wasm"
}
_WORTH_BYTES = 256


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is served; `encodings` are the same bytes compressed, the best first."""

    body: bytes
    content_type: str
    cache: str
    etag: str
    encodings: tuple[tuple[str, bytes], ...]


def page_folder(chosen: Path | None) -> Path | None:
    """The folder with the built page, if there is one."""
    candidates = (chosen,) if chosen is not None else (PACKAGE, CHECKOUT)
    return next((folder for folder in candidates if (folder / "index.html").is_file()), None)


def read_pages(folder: Path) -> dict[str, PageFile]:
    """Every file below `folder` by its path in the URL. `x.br` and `x.gz` are taken for `x` compressed."""
    names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    plain = {n: p for n, p in names.items() if not (n.endswith((".br", ".gz")) and n[:-3] in names)}
    return {name: _page_file(name, path, names) for name, path in plain.items()}


def _page_file(name: str, path: Path, names: dict[str, Path]) -> PageFile:
    body = path.read_bytes()
    suffix = path.suffix.lower()
    content_type = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    encodings: list[tuple[str, bytes]] = []
    if f"{name}.br" in names:
        encodings.append(("br", names[f"{name}.br"].read_bytes()))
    if suffix in _COMPRESSED and len(body) >= _WORTH_BYTES:
        ready = names.get(f"{name}.gz")
        encodings.append(("gzip", ready.read_bytes() if ready else _gzip(body)))
    cache = IMMUTABLE if _HASHED.fullmatch(name) else REVALIDATE
    etag = hashlib.sha256(body).hexdigest()[:32]
    return PageFile(body, content_type, cache, etag, tuple(encodings))


@functools.lru_cache(maxsize=256)
def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, 9, mtime=0)


def page_routes(folder: Path | None) -> Iterator[Route]:
    """One route for each file, and `/` for `index.html`; none without a folder."""
    if folder is None:
        return
    for name, file in read_pages(folder).items():
        yield Route("GET", f"/{name}", Auth.NOBODY, _handler(file))
        if name == "index.html":
            yield Route("GET", "/", Auth.NOBODY, _handler(file))


def _handler(file: PageFile) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        encoding, body = _encoding(file, request.headers.get("Accept-Encoding", ""))
        # Each encoding is another representation with its own name (RFC 9110 section 8.8.3).
        etag = f'"{file.etag}{"-" + encoding if encoding else ""}"'
        headers = PAGE_HEADERS | {"Cache-Control": file.cache, "ETag": etag, "Vary": "Accept-Encoding"}
        known = [part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")]
        if etag in known:
            return web.Response(status=304, headers=headers)
        if encoding:
            headers["Content-Encoding"] = encoding
        headers["Content-Type"] = file.content_type
        return web.Response(body=body, headers=headers)

    return answer


def _encoding(file: PageFile, accepted: str) -> tuple[str, bytes]:
    offers: set[str] = set()
    for part in accepted.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        if not re.fullmatch(r"\s*q=0(\.0*)?\s*", parameters):
            offers.add(name.strip())
    return next(((name, body) for name, body in file.encodings if name in offers), ("", file.body))
