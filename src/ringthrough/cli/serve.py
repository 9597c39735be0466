"""`ringthrough serve`: run the server until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
from pathlib import Path

from ringthrough.server.app import ServerConfig, start
from ringthrough.server.log import on_loop_error


def add_serve_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add `serve` and its options."""
    parser = subparsers.add_parser("serve", help="run the server")
    add_serve_options(parser)
    parser.set_defaults(run=run_serve)
    return parser


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER", help="the folder with everything at rest"
    )
    parser.add_argument("--host", default=ServerConfig.host, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=int,
        default=ServerConfig.port,
        help="port to listen on, 0 for a free one (default: %(default)s)",
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM)")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="how people reach this server, such as https://chat.example (may be repeated)",
    )
    parser.add_argument(
        "--proxy-hops", type=int, default=0, metavar="N", help="trusted proxies in front (default: %(default)s)"
    )


def run_serve(args: argparse.Namespace) -> int:
    """Serve until a signal comes. Returns the exit status."""
    if (args.tls_cert is None) != (args.tls_key is None):
        print("--tls-cert and --tls-key go together", file=sys.stderr)
        return 2
    config = ServerConfig(
        data_dir=args.data,
        host=args.host,
        port=args.port,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        public_origins=tuple(args.origin),
        proxy_hops=args.proxy_hops,
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(config))
    except OSError as e:
        print(f"cannot serve: {e}", file=sys.stderr)
        return 1


async def _serve(config: ServerConfig) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(on_loop_error)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await start(config)
    # What exists now lives as long as the process: keep the collector from walking it.
    gc.collect()
    gc.freeze()
    print(f"listening on {server.url}", flush=True)
    await stop.wait()
    await server.close()
    return 0


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not on every platform
        return None
    return uvloop.Loop


def main() -> int:
    """`python -m ringthrough.cli.serve`."""
    parser = argparse.ArgumentParser(prog="ringthrough serve")
    add_serve_options(parser)
    return run_serve(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
