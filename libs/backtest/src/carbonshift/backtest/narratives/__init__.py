"""How well narratives are told, and whether a model that lies gets through: on the transitions of tapes."""
