"""The file plugin: a folder of files with a manifest of ``path,sha256,size`` lines. docs/howto/write-a-plugin.md builds it."""
