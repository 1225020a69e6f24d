"""The same shop, orchestrated and choreographed: see `examples.shop.choreographed` and `examples.shop.orchestrated`."""
