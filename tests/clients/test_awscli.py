"""aws-cli: what its users type."""

import json
import os
import urllib.request

from conftest import content


def test_sync_there_and_back_gives_an_equal_tree(run, bucket, tree, tmp_path):
    run("aws", "s3", "sync", tree, f"s3://{bucket}/copy")
    listed = run("aws", "s3", "ls", "--recursive", f"s3://{bucket}/copy/")
    assert len(listed.splitlines()) == len(content(tree))
    run("aws", "s3", "sync", f"s3://{bucket}/copy", tmp_path / "back")
    assert content(tmp_path / "back") == content(tree)
    # A second sync finds nothing to do.
    assert run("aws", "s3", "sync", tree, f"s3://{bucket}/copy") == ""


def test_a_file_over_the_multipart_threshold(run, bucket, tmp_path):
    (tmp_path / "large").write_bytes(os.urandom(40_000_000))
    run("aws", "s3", "cp", "large", f"s3://{bucket}/large")
    run("aws", "s3", "cp", f"s3://{bucket}/large", "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()
    head = json.loads(run("aws", "s3api", "head-object", "--bucket", bucket, "--key", "large"))
    assert head["ETag"].endswith('-5"') and head["ContentLength"] == 40_000_000
    run("aws", "s3", "cp", f"s3://{bucket}/large", f"s3://{bucket}/large-copy")
    run("aws", "s3", "cp", f"s3://{bucket}/large-copy", "back-copy")
    assert (tmp_path / "back-copy").read_bytes() == (tmp_path / "large").read_bytes()


def test_move_remove_and_remove_bucket(run, server, tree):
    name = "made-by-the-cli"
    run("aws", "s3", "mb", f"s3://{name}")
    run("aws", "s3", "cp", "--recursive", tree, f"s3://{name}/")
    run("aws", "s3", "mv", f"s3://{name}/a.b", f"s3://{name}/moved")
    listed = run("aws", "s3", "ls", f"s3://{name}/")
    assert "PRE a/" in listed and "moved" in listed and "a.b" not in listed
    run("aws", "s3", "rb", "--force", f"s3://{name}")
    assert name not in run("aws", "s3", "ls")


def test_a_presigned_url_reads_without_a_key(run, server, bucket, tmp_path):
    (tmp_path / "note").write_bytes(b"for everybody with the link")
    run("aws", "s3", "cp", "note", f"s3://{bucket}/note")
    # This aws-cli still presigns by version 2 unless it is told otherwise.
    (tmp_path / "config").write_text("[default]\ns3 =\n    signature_version = s3v4\n    addressing_style = path\n")
    url = run("aws", "s3", "presign", f"s3://{bucket}/note", AWS_CONFIG_FILE=str(tmp_path / "config")).strip()
    with urllib.request.urlopen(url, context=server.tls_context()) as answer:
        assert answer.read() == b"for everybody with the link"


def test_versions_through_s3api(run, bucket, tmp_path):
    run("aws", "s3api", "put-bucket-versioning", "--bucket", bucket, "--versioning-configuration", "Status=Enabled")
    for text in ("first", "second"):
        (tmp_path / "file").write_text(text)
        run("aws", "s3api", "put-object", "--bucket", bucket, "--key", "k", "--body", "file")
    run("aws", "s3api", "delete-object", "--bucket", bucket, "--key", "k")
    listed = json.loads(run("aws", "s3api", "list-object-versions", "--bucket", bucket))
    assert len(listed["Versions"]) == 2 and len(listed["DeleteMarkers"]) == 1
    oldest = listed["Versions"][-1]["VersionId"]
    run("aws", "s3api", "get-object", "--bucket", bucket, "--key", "k", "--version-id", oldest, "out")
    assert (tmp_path / "out").read_text() == "first"


def test_cors_rules_and_tags_through_s3api(run, bucket, tmp_path):
    (tmp_path / "cors.json").write_text('{"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}')
    run("aws", "s3api", "put-bucket-cors", "--bucket", bucket, "--cors-configuration", "file://cors.json")
    rules = json.loads(run("aws", "s3api", "get-bucket-cors", "--bucket", bucket))["CORSRules"]
    assert rules == [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]
    run("aws", "s3api", "put-bucket-tagging", "--bucket", bucket, "--tagging", "TagSet=[{Key=a,Value=1}]")
    tags = json.loads(run("aws", "s3api", "get-bucket-tagging", "--bucket", bucket))["TagSet"]
    assert tags == [{"Key": "a", "Value": "1"}]
    (tmp_path / "file").write_text("x")
    run("aws", "s3api", "put-object", "--bucket", bucket, "--key", "k", "--body", "file")
    run("aws", "s3api", "put-object-tagging", "--bucket", bucket, "--key", "k", "--tagging", "TagSet=[{Key=b,Value=2}]")
    tags = json.loads(run("aws", "s3api", "get-object-tagging", "--bucket", bucket, "--key", "k"))["TagSet"]
    assert tags == [{"Key": "b", "Value": "2"}]


def test_a_version_under_retention_stays(run, tmp_path):
    name = "locked-by-the-cli"
    run("aws", "s3api", "create-bucket", "--bucket", name, "--object-lock-enabled-for-bucket")
    (tmp_path / "file").write_bytes(b"held")
    lock = ["--object-lock-mode", "GOVERNANCE", "--object-lock-retain-until-date", "2140-01-01T00:00:00Z"]
    put = json.loads(run("aws", "s3api", "put-object", "--bucket", name, "--key", "k", "--body", "file", *lock))
    version = ["--bucket", name, "--key", "k", "--version-id", put["VersionId"]]
    held = json.loads(run("aws", "s3api", "get-object-retention", *version))["Retention"]
    assert held["Mode"] == "GOVERNANCE" and held["RetainUntilDate"].startswith("2140-01-01")
    run("aws", "s3", "rm", f"s3://{name}/k")
    listed = json.loads(run("aws", "s3api", "list-object-versions", "--bucket", name))
    assert len(listed["Versions"]) == 1 and len(listed["DeleteMarkers"]) == 1
    run("aws", "s3api", "delete-object", *version, "--bypass-governance-retention")
    listed = json.loads(run("aws", "s3api", "list-object-versions", "--bucket", name))
    assert "Versions" not in listed
