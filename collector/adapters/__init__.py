"""Wire formats of senders, one pure function each; `collector.adapters.registry` names them."""
