"""No restriction but the way itself: how far it is, and how it loses and reorders packets."""

from __future__ import annotations

from lab.middlebox.rules import Bursts, Delay, Loss, Rule
from lab.rules.restriction import Restriction


def restriction(
    host: str = "alice",
    *,
    rtt_ms: float,
    jitter_ms: float = 0.0,
    reorder: bool = False,
    loss: float = 0.0,
    burst_packets: float | None = None,
) -> Restriction:
    """Half of `rtt_ms`, up to `jitter_ms` more, and loss in each direction of the host's access link.

    `loss` is the share of packets lost in each direction: independently, or in bursts of `burst_packets` on average.
    """
    delay = Delay(id=f"{host} delay", host=host, delay_ms=rtt_ms / 2, jitter_ms=jitter_ms, reorder=reorder)
    rules: list[Rule] = [delay]
    if loss and burst_packets is not None:
        rules.append(Bursts(id=f"{host} bursts", host=host, share=loss, mean_packets=burst_packets))
    elif loss:
        rules.append(Loss(id=f"{host} loss", host=host, share=loss))
    return Restriction(tuple(rules))
