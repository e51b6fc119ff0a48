"""boto3: the SDK's own defaults, checksums and conditions among them."""

import datetime
import io
import os
import urllib.error
import urllib.request

import pytest
import urllib3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError


def code_of(call):
    with pytest.raises(ClientError) as raised:
        call()
    return raised.value.response["Error"]["Code"]


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 65536, 65537, 1 << 20, 9_000_001])
def test_what_was_put_is_what_is_got(server, bucket, size):
    s3, sent = server.boto3(), os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=sent, ContentType="text/x-test", Metadata={"color": "blue"})
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == sent
    assert got["ContentType"] == "text/x-test" and got["Metadata"] == {"color": "blue"}


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_are_verified_and_kept(server, bucket, algorithm):
    s3 = server.boto3()
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 100_000, ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    field = f"Checksum{algorithm}"
    assert head[field] == put[field]


def test_a_managed_upload_goes_in_parts(server, bucket):
    s3, sent = server.boto3(), os.urandom(23_000_000)
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(sent), bucket, "big", Config=config)
    back = io.BytesIO()
    s3.download_fileobj(bucket, "big", back, Config=config)
    assert back.getvalue() == sent
    part = s3.get_object(Bucket=bucket, Key="big", PartNumber=2)
    assert part["PartsCount"] == 3 and part["Body"].read() == sent[8 << 20 : 16 << 20]


def test_conditional_writes_are_decided_at_commit(server, bucket):
    s3 = server.boto3()
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    assert code_of(lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")) == "PreconditionFailed"
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=first["ETag"])
    assert code_of(lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"4", IfMatch=first["ETag"])) == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"


def test_ranges_copies_and_pages(server, bucket):
    s3, sent = server.boto3(), os.urandom(5_000_000)
    s3.put_object(Bucket=bucket, Key="source", Body=sent)
    assert s3.get_object(Bucket=bucket, Key="source", Range="bytes=4194300-4194400")["Body"].read() == sent[4194300:4194401]
    s3.copy_object(Bucket=bucket, Key="target", CopySource={"Bucket": bucket, "Key": "source"})
    assert s3.get_object(Bucket=bucket, Key="target")["Body"].read() == sent
    for number in range(25):
        s3.put_object(Bucket=bucket, Key=f"page/{number:03}", Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="page/", PaginationConfig={"PageSize": 10})
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    assert keys == [f"page/{number:03}" for number in range(25)]
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(gone["Deleted"]) == 25
    assert code_of(lambda: s3.get_object(Bucket=bucket, Key="page/000")) == "NoSuchKey"


def test_a_presigned_form_uploads_without_a_key(server, bucket):
    # boto3 still signs forms by version 2 unless it is told otherwise.
    s3 = server.boto3(signature_version="s3v4")
    conditions = [["starts-with", "$Content-Type", "text/"], ["content-length-range", 1, 1000]]
    post = s3.generate_presigned_post(bucket, "inbox/${filename}", {"Content-Type": "text/plain"}, conditions, ExpiresIn=60)

    def upload(sent):
        fields = {**post["fields"], "file": ("note.txt", sent)}
        body, content_type = urllib3.encode_multipart_formdata(fields)
        request = urllib.request.Request(post["url"], body, {"Content-Type": content_type}, method="POST")
        with urllib.request.urlopen(request, context=server.tls_context()) as answer:
            return answer.status

    assert upload(b"by a browser") == 204
    got = s3.get_object(Bucket=bucket, Key="inbox/note.txt")
    assert got["Body"].read() == b"by a browser" and got["ContentType"] == "text/plain"
    with pytest.raises(urllib.error.HTTPError) as raised:
        upload(b"x" * 1001)
    assert raised.value.code == 400 and b"EntityTooLarge" in raised.value.read()


def test_a_wrong_secret_is_refused(server, bucket):
    import boto3

    stranger = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="root-of-the-clients",
        aws_secret_access_key="wrong",
        region_name="us-east-1",
        verify=str(server.authority) if server.authority else None,
    )
    assert code_of(lambda: stranger.put_object(Bucket=bucket, Key="k", Body=b"")) == "SignatureDoesNotMatch"


def test_what_s3_keeps_with_a_bucket_and_tags(server, bucket):
    s3 = server.boto3()
    tags = [{"Key": "project", "Value": "cairn"}, {"Key": "empty", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    assert code_of(lambda: s3.get_bucket_tagging(Bucket=bucket)) == "NoSuchTagSet"
    rule = {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://*.example.com"], "MaxAgeSeconds": 60}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [rule]
    s3.delete_bucket_cors(Bucket=bucket)
    assert code_of(lambda: s3.get_bucket_cors(Bucket=bucket)) == "NoSuchCORSConfiguration"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Enabled"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="given=first")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags
    assert s3.head_object(Bucket=bucket, Key="k")["TagCount"] == 2
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


def test_versions_are_held_by_object_lock(server):
    s3, name = server.boto3(), "locked-by-boto3"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
    assert s3.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"] == lock
    until = datetime.datetime(2140, 1, 1, tzinfo=datetime.timezone.utc)
    own = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until, "ObjectLockLegalHoldStatus": "ON"}
    version = s3.put_object(Bucket=name, Key="k", Body=b"held", **own)["VersionId"]
    head = s3.head_object(Bucket=name, Key="k")
    assert {field: head[field] for field in own} == own
    other = s3.put_object(Bucket=name, Key="other", Body=b"x")["VersionId"]
    assert s3.head_object(Bucket=name, Key="other")["ObjectLockMode"] == "GOVERNANCE"

    def delete(**more):
        s3.delete_object(Bucket=name, Key="k", VersionId=version, **more)

    assert code_of(lambda: delete(BypassGovernanceRetention=True)) == "AccessDenied"
    s3.put_object_legal_hold(Bucket=name, Key="k", LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(Bucket=name, Key="k")["LegalHold"] == {"Status": "OFF"}
    assert code_of(delete) == "AccessDenied"
    sooner = {"Mode": "GOVERNANCE", "RetainUntilDate": until - datetime.timedelta(days=1)}
    assert code_of(lambda: s3.put_object_retention(Bucket=name, Key="k", Retention=sooner)) == "AccessDenied"
    s3.put_object_retention(Bucket=name, Key="k", Retention=sooner, BypassGovernanceRetention=True)
    assert s3.get_object_retention(Bucket=name, Key="k")["Retention"] == sooner
    both = [{"Key": "k", "VersionId": version}, {"Key": "other", "VersionId": other}]
    refused = s3.delete_objects(Bucket=name, Delete={"Objects": both})
    assert [error["Code"] for error in refused["Errors"]] == ["AccessDenied"] * 2
    s3.delete_objects(Bucket=name, Delete={"Objects": both}, BypassGovernanceRetention=True)
    s3.delete_bucket(Bucket=name)
