"""Processes and sockets: packets and tables in, answers out; nothing is decided here.

`supervisor` keeps the others alive and holds the sockets; `worker` answers; `links` is the control process's end.
"""
