# ruff: noqa: B018, F821
"""What `scripts/unused.py` finds unused and is not: names, each with how it is used. A line needed no longer fails."""

# read by who calls us
isolation_level  # sqlite3 begins no transaction by itself
mtime  # tarfile writes it into a header
linkname  # tarfile writes it into a header
writable  # io.TextIOBase: asked before a write
seekable  # io.RawIOBase: asked before a seek
makefile  # http.client reads from a socket by it
auto_open  # http.client would connect by itself
default_port  # http.client leaves it out of Host
expected_content_length  # uvicorn holds a body to it
auth_flow  # httpx.Auth
implementation_class_uid  # pynetdicom says it in associations
implementation_version_name  # pynetdicom says it in associations
handle_request  # httpx.BaseTransport
inherit_cache  # SQLAlchemy
supports_statement_cache  # SQLAlchemy
engine_created  # SQLAlchemy
do_begin  # SQLAlchemy
collect  # prometheus_client
regex  # Starlette's convertors of paths
__init_subclass__  # Python calls it
model_parametrized_name  # pydantic names generic models by it
secondary_id  # services/records.py: a field that is answered, and none that is asked
same_images  # services/records.py: a field that is answered
shared_images  # services/records.py: a field that is answered
deidentified  # services/records.py: a field that is answered
server_labels  # services/records.py: a field that is answered

handle_starttag  # html.parser calls it

# read by mypy
made_in_publishing_locks  # makes LockName a class that nobody else can make
made_in_store_paths  # makes DataPath and RelPath classes that nobody else can make

# values that stand in another form where they are used
IMPORT_END  # catalog/audit.py, which may not import services, writes its value
TOKEN_USE  # access/authentication.py, which may not import services, names its value

__signature__  # inspect, and so typer, reads it

# for tests and documents
POINTS  # the crash suite goes through them
DELETION_POINTS  # the crash suite goes through them
BUCKET_POINTS  # tests of kills go through them
section  # docs/codes.md has it in its table
ANSWERED  # docs/codes.md has no status for such a class
UPLOAD_WARNINGS  # docs/codes.md is made from it
pids  # tests kill decoders by them
use_bundle  # tests serve the pages of a wheel by it
given_privacy  # scandock.testing is for tests alone
share_compiled_statements  # scandock.testing is for tests alone
quick_passwords  # scandock.testing is for tests alone
InProcessServer  # scandock.testing is for tests alone
InProcessWorker  # scandock.testing is for tests alone
