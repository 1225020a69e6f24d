"""Programs that show actorflow at work. Each runs from a checkout: `actorflow run examples.NAME:app`."""
