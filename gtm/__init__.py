"""GTM: an authoritative nameserver that steers live streams away from dead nodes."""

__version__ = "0.1.0"
