"""Programs that speak i-PI's protocol as clients: started here, asked for structures, ended."""

PREFIX = "client"
USAGE = f"{PREFIX}:[KEY=VALUE …] PROGRAM …"
SEPARATOR = ","  # of several files or properties
