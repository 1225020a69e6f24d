"""The public system, its settings, and the App that `actorflow run` starts."""
