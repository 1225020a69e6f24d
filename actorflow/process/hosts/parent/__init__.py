"""Parent: hosts in the process that started them.

`hosted_ref` (the ref of an actor that runs in a host), `envoy` (its stand-in in the parent's tree), `hosts` (the child
processes of a system), `host_process` (one of them), `virtual_host` (hosts on a virtual clock, which only copy).
"""
