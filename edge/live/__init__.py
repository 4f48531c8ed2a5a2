"""Floor 4: the hub. Flights, followers and viewers; gevent lives here."""
