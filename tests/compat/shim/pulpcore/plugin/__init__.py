"""The one part of pulpcore's plugin API that exists here is ``stages``."""
