"""Programs that speak i-PI's protocol as clients: started here, asked for structures, ended."""
