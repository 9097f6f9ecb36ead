"""The configuration files of livekit-server and livekit-sip: everything on loopback.

They are written as JSON, which is YAML too.
"""

from __future__ import annotations

from typing import Any

from vobiz_kit.lab.state import LOOPBACK, LabConfig

LOGGING = {"json": True, "level": "info"}


def livekit_server(config: LabConfig) -> dict[str, Any]:
    """The configuration of livekit-server."""
    return {
        "port": config.livekit_port,
        "bind_addresses": [LOOPBACK],
        "keys": {config.livekit_api_key: config.livekit_api_secret},
        "redis": {"address": f"{LOOPBACK}:{config.redis_port}"},
        "logging": LOGGING,
        "rtc": {
            "node_ip": LOOPBACK,
            "use_external_ip": False,
            "enable_loopback_candidate": True,
            "ips": {"includes": ["127.0.0.0/8"]},
            # One port for all media: a range of 200 ends at about 50 calls with an agent each.
            "udp_port": config.livekit_udp_port,
            # ICE over TCP listens on every interface, and loopback has no need of it.
            "tcp_port": 0,
            # Nobody answers there. Without it every call looks up public STUN servers.
            "stun_servers": [f"{LOOPBACK}:3478"],
        },
    }


def livekit_sip(config: LabConfig) -> dict[str, Any]:
    """The configuration of livekit-sip.

    No ``health_port`` and no ``prometheus_port``: both listen on every interface. `probes` asks by
    SIP instead.
    """
    return {
        "api_key": config.livekit_api_key,
        "api_secret": config.livekit_api_secret,
        "ws_url": f"ws://{LOOPBACK}:{config.livekit_port}",
        "redis": {"address": f"{LOOPBACK}:{config.redis_port}"},
        "logging": LOGGING,
        "listen_ip": LOOPBACK,
        "local_net": "127.0.0.0/8",
        "nat_1_to_1_ip": LOOPBACK,
        "use_external_ip": False,
        "sip_port": config.livekit_sip_port,
        # Its own limit is 90 % of the machine: on a laptop that compiles something beside the lab,
        # every call would be refused with "cpu exhausted".
        "max_cpu_utilization": 1,
        "rtp_port": f"{config.livekit_sip_rtp_first}-{config.livekit_sip_rtp_last}",
    }
