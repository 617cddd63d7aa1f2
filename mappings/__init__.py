"""Each system's field and stage words, as data: one TOML file a system, read by ``syncd.mapping``."""
