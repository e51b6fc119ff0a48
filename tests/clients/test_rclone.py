"""rclone: checks every file by its hash after it copied."""

import os

import pytest
from conftest import ACCESS_KEY, SECRET_KEY, content


@pytest.fixture
def rclone(run, server):
    settings = {
        "RCLONE_CONFIG_CAIRN_TYPE": "s3",
        "RCLONE_CONFIG_CAIRN_PROVIDER": "Other",
        "RCLONE_CONFIG_CAIRN_ACCESS_KEY_ID": ACCESS_KEY,
        "RCLONE_CONFIG_CAIRN_SECRET_ACCESS_KEY": SECRET_KEY,
        "RCLONE_CONFIG_CAIRN_ENDPOINT": server.endpoint,
        "RCLONE_CONFIG": "/dev/null",
    }
    if server.authority:
        settings["RCLONE_CA_CERT"] = str(server.authority)
    return lambda *words: run("rclone", *words, **settings)


def test_sync_check_and_back(rclone, bucket, tree, tmp_path):
    rclone("sync", tree, f"cairn:{bucket}/copy")
    rclone("check", tree, f"cairn:{bucket}/copy")
    rclone("copy", f"cairn:{bucket}/copy", tmp_path / "back")
    assert content(tmp_path / "back") == content(tree)


def test_parts_server_side_copy_and_purge(rclone, bucket, tmp_path):
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "file").write_bytes(os.urandom(31_000_000))
    cut = ["--s3-upload-cutoff=5M", "--s3-chunk-size=5M", "--s3-copy-cutoff=10M"]
    rclone("copy", *cut, tmp_path / "large", f"cairn:{bucket}/one")
    rclone("copy", *cut, f"cairn:{bucket}/one", f"cairn:{bucket}/two")
    rclone("check", "--download", tmp_path / "large", f"cairn:{bucket}/two")
    rclone("purge", f"cairn:{bucket}/one")
    assert sorted(rclone("lsf", "-R", f"cairn:{bucket}").split()) == ["two/", "two/file"]
