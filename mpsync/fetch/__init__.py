"""HTTP out: URLs become verified files. The only place with retries, digests, mirrors, credentials and rate limits.

session   Fetcher: mirrors, retries, waiting            http      one try over HTTP (the only aiohttp client)
sink      hash, hold, write                             local     one try at a file:// upstream
reach     which URLs a remote may lead to               retry     when to try again (pure)
hosts     slots, patience and scores                    errors    the leaves; child-safe
proxies, tls   what they say
"""
