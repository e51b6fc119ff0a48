"""s3cmd: an older client, with its own signing and its own idea of listing."""

import pytest
from conftest import ACCESS_KEY, SECRET_KEY, content


@pytest.fixture
def s3cmd(run, server, tmp_path):
    settings = tmp_path / "s3cfg"
    settings.write_text(
        f"[default]\naccess_key = {ACCESS_KEY}\nsecret_key = {SECRET_KEY}\nhost_base = {server.host}\n"
        f"host_bucket = {server.host}\nuse_https = {server.scheme == 'https'}\n"
        + (f"ca_certs_file = {server.authority}\n" if server.authority else "")
    )
    return lambda *words: run("s3cmd", "-c", settings, *words)


def test_sync_there_and_back_gives_an_equal_tree(s3cmd, bucket, tree, tmp_path):
    s3cmd("sync", f"{tree}/", f"s3://{bucket}/copy/")
    (tmp_path / "back").mkdir()
    s3cmd("sync", f"s3://{bucket}/copy/", f"{tmp_path}/back/")
    assert content(tmp_path / "back") == content(tree)


def test_parts_listing_and_removal(s3cmd, bucket, tree, tmp_path):
    large = tree / "a/b/c/several stripes"
    s3cmd("put", "--multipart-chunk-size-mb=5", large, f"s3://{bucket}/large")
    s3cmd("get", f"s3://{bucket}/large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    assert f"s3://{bucket}/large" in s3cmd("ls", f"s3://{bucket}/")
    assert "13000001" in s3cmd("info", f"s3://{bucket}/large")
    s3cmd("del", f"s3://{bucket}/large")
    s3cmd("rb", f"s3://{bucket}")
    assert bucket not in s3cmd("ls")
