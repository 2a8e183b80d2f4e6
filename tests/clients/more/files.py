"""s3fs: a bucket as a file system, with a key that is hard to sign, and a file that goes up in parts."""

import sys

from s3fs import S3FileSystem

bucket = sys.argv[1]
files = S3FileSystem()
files.mkdir(bucket)
small, big = f"{bucket}/a b+c/ü@%2F", f"{bucket}/big"
files.pipe_file(small, b"small")
with files.open(big, "wb", block_size=5 << 20) as file:
    for letter in b"abc":
        file.write(bytes([letter]) * (4 << 20))
assert files.cat_file(small) == b"small"
assert sorted(files.find(bucket)) == sorted([small, big])
with files.open(big, "rb") as file:
    file.seek((8 << 20) - 1)
    assert file.read(2) == b"bc"
files.copy(small, f"{bucket}/copy")
assert files.info(f"{bucket}/copy")["size"] == 5
files.rm(bucket, recursive=True)
assert not files.exists(bucket)
