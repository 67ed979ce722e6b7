CREATE TABLE accession (
	number INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	CONSTRAINT pk_accession PRIMARY KEY (number),
	CONSTRAINT uq_accession_uuid UNIQUE (uuid)
)

CREATE TABLE account (
	id INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	name VARCHAR(64) NOT NULL,
	"key" VARCHAR(64) NOT NULL,
	display TEXT DEFAULT '' NOT NULL,
	email TEXT DEFAULT '' NOT NULL,
	password TEXT,
	identity TEXT,
	admin BOOLEAN DEFAULT false NOT NULL,
	disabled BOOLEAN DEFAULT false NOT NULL,
	epoch INTEGER DEFAULT 0 NOT NULL,
	created BIGINT NOT NULL,
	modified BIGINT NOT NULL,
	CONSTRAINT pk_account PRIMARY KEY (id),
	CONSTRAINT uq_account_uuid UNIQUE (uuid),
	CONSTRAINT uq_account_key UNIQUE ("key"),
	CONSTRAINT uq_account_identity UNIQUE (identity)
)

CREATE TABLE api_token (
	alias VARCHAR(36) NOT NULL,
	account_id INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	name TEXT DEFAULT '' NOT NULL,
	secret_hash BLOB NOT NULL,
	scope VARCHAR(8) NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	seen BIGINT,
	parent_alias VARCHAR(36),
	CONSTRAINT pk_api_token PRIMARY KEY (alias),
	CONSTRAINT ck_api_token_scope CHECK (scope IN ('read', 'upload', 'all')),
	CONSTRAINT fk_api_token_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE,
	CONSTRAINT fk_api_token_parent_alias FOREIGN KEY(parent_alias) REFERENCES api_token (alias) ON DELETE CASCADE
)

CREATE TABLE assessor (
	id INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	session_uuid VARCHAR(36) NOT NULL,
	label VARCHAR(128) NOT NULL,
	"key" VARCHAR(128) NOT NULL,
	xsi_type VARCHAR(64) NOT NULL,
	document TEXT NOT NULL,
	fields TEXT NOT NULL,
	created BIGINT NOT NULL,
	modified BIGINT NOT NULL,
	CONSTRAINT pk_assessor PRIMARY KEY (id),
	CONSTRAINT uq_assessor_session_uuid_key UNIQUE (session_uuid, "key"),
	CONSTRAINT uq_assessor_uuid UNIQUE (uuid)
)

CREATE TABLE audit (
	id INTEGER NOT NULL,
	at BIGINT NOT NULL,
	account_id INTEGER,
	actor VARCHAR(64) NOT NULL,
	action VARCHAR(32) NOT NULL,
	kind VARCHAR(16) DEFAULT '' NOT NULL,
	target TEXT DEFAULT '' NOT NULL,
	project VARCHAR(64) DEFAULT '' NOT NULL,
	address VARCHAR(64) DEFAULT '' NOT NULL,
	request_id VARCHAR(64) DEFAULT '' NOT NULL,
	outcome VARCHAR(8) DEFAULT 'done' NOT NULL,
	details TEXT DEFAULT '' NOT NULL,
	project_uuid VARCHAR(36),
	CONSTRAINT pk_audit PRIMARY KEY (id),
	CONSTRAINT ck_audit_outcome CHECK (outcome IN ('done', 'refused', 'failed'))
)

CREATE TABLE cached_file (
	upload_id INTEGER NOT NULL,
	account_id INTEGER NOT NULL,
	resource TEXT NOT NULL,
	name TEXT NOT NULL,
	whole BOOLEAN DEFAULT false NOT NULL,
	CONSTRAINT pk_cached_file PRIMARY KEY (upload_id),
	CONSTRAINT fk_cached_file_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE,
	CONSTRAINT fk_cached_file_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE
)

CREATE TABLE chore (
	name TEXT NOT NULL,
	until BIGINT NOT NULL,
	CONSTRAINT pk_chore PRIMARY KEY (name)
)

CREATE TABLE clock_host (
	start VARCHAR(64) NOT NULL,
	wall BIGINT NOT NULL,
	since_start BIGINT NOT NULL,
	CONSTRAINT pk_clock_host PRIMARY KEY (start)
)

CREATE TABLE clock_seen (
	id INTEGER NOT NULL,
	wall BIGINT NOT NULL,
	start VARCHAR(64) NOT NULL,
	since_start BIGINT NOT NULL,
	held_until BIGINT NOT NULL,
	jumped BIGINT NOT NULL,
	doubted BIGINT DEFAULT 0 NOT NULL,
	doubted_since BIGINT DEFAULT 0 NOT NULL,
	CONSTRAINT pk_clock_seen PRIMARY KEY (id)
)

CREATE TABLE commitment (
	id INTEGER NOT NULL,
	peer VARCHAR(16) NOT NULL,
	transaction_uid VARCHAR(64) NOT NULL,
	receiver_id INTEGER,
	called VARCHAR(16) NOT NULL,
	address VARCHAR(64) NOT NULL,
	received BIGINT NOT NULL,
	newest_upload BIGINT NOT NULL,
	state VARCHAR(8) NOT NULL,
	due BIGINT NOT NULL,
	tries INTEGER DEFAULT 0 NOT NULL,
	message TEXT DEFAULT '' NOT NULL,
	wanted BLOB NOT NULL,
	result BLOB,
	CONSTRAINT pk_commitment PRIMARY KEY (id),
	CONSTRAINT ck_commitment_state CHECK (state IN ('waiting', 'decided', 'told', 'failed')),
	CONSTRAINT fk_commitment_receiver_id FOREIGN KEY(receiver_id) REFERENCES receiver (id) ON DELETE SET NULL
)

CREATE TABLE damage (
	id INTEGER NOT NULL,
	tree_id INTEGER NOT NULL,
	file_n INTEGER,
	kind VARCHAR(16) NOT NULL,
	bytes BIGINT,
	error TEXT DEFAULT '' NOT NULL,
	found BIGINT NOT NULL,
	CONSTRAINT pk_damage PRIMARY KEY (id),
	CONSTRAINT uq_damage_tree_id_file_n UNIQUE (tree_id, file_n),
	CONSTRAINT ck_damage_kind CHECK (kind IN ('changed', 'missing', 'unreadable', 'folder_missing')),
	CONSTRAINT fk_damage_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id) ON DELETE CASCADE
)

CREATE TABLE data_folder (
	uuid VARCHAR(36) NOT NULL,
	path TEXT NOT NULL,
	CONSTRAINT pk_data_folder PRIMARY KEY (uuid)
)

CREATE TABLE delivery (
	id INTEGER NOT NULL,
	subscription_id INTEGER,
	upload_id INTEGER,
	state VARCHAR(8) NOT NULL,
	attempts INTEGER DEFAULT 0 NOT NULL,
	next_at BIGINT NOT NULL,
	error TEXT DEFAULT '' NOT NULL,
	done BIGINT,
	account_id INTEGER,
	CONSTRAINT pk_delivery PRIMARY KEY (id),
	CONSTRAINT uq_delivery_subscription_id_upload_id UNIQUE (subscription_id, upload_id),
	CONSTRAINT ck_delivery_state CHECK (state IN ('waiting', 'sent', 'failed')),
	CONSTRAINT ck_delivery_whose CHECK ((subscription_id IS NULL) <> (account_id IS NULL)),
	CONSTRAINT fk_delivery_subscription_id FOREIGN KEY(subscription_id) REFERENCES subscription (id) ON DELETE CASCADE,
	CONSTRAINT fk_delivery_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE,
	CONSTRAINT fk_delivery_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE
)

CREATE TABLE dicom_association (
	id INTEGER NOT NULL,
	receiver_id INTEGER,
	host VARCHAR(255) NOT NULL,
	owner TEXT NOT NULL,
	port INTEGER NOT NULL,
	called VARCHAR(16) NOT NULL,
	calling VARCHAR(16) NOT NULL,
	address VARCHAR(64) NOT NULL,
	security TEXT DEFAULT '' NOT NULL,
	begun BIGINT NOT NULL,
	ended BIGINT,
	outcome VARCHAR(8) NOT NULL,
	message TEXT DEFAULT '' NOT NULL,
	objects BIGINT DEFAULT 0 NOT NULL,
	bytes BIGINT DEFAULT 0 NOT NULL,
	failures BIGINT DEFAULT 0 NOT NULL,
	number BIGINT DEFAULT 0 NOT NULL,
	CONSTRAINT pk_dicom_association PRIMARY KEY (id),
	CONSTRAINT ck_dicom_association_outcome CHECK (outcome IN ('open', 'released', 'ended', 'rejected', 'failed')),
	CONSTRAINT fk_dicom_association_receiver_id FOREIGN KEY(receiver_id) REFERENCES receiver (id) ON DELETE SET NULL
)

CREATE TABLE dicom_peer (
	id INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	title VARCHAR(16) NOT NULL,
	host VARCHAR(255) NOT NULL,
	port INTEGER NOT NULL,
	tls BOOLEAN DEFAULT false NOT NULL,
	label TEXT DEFAULT '' NOT NULL,
	created BIGINT NOT NULL,
	modified BIGINT NOT NULL,
	CONSTRAINT pk_dicom_peer PRIMARY KEY (id),
	CONSTRAINT uq_dicom_peer_uuid UNIQUE (uuid),
	CONSTRAINT uq_dicom_peer_title UNIQUE (title)
)

CREATE TABLE dicom_series (
	tree_id INTEGER NOT NULL,
	n INTEGER NOT NULL,
	study_uid TEXT NOT NULL,
	series_uid TEXT NOT NULL,
	modality TEXT NOT NULL,
	number TEXT NOT NULL,
	description TEXT NOT NULL,
	date VARCHAR(8) NOT NULL,
	time VARCHAR(13) NOT NULL,
	step_date VARCHAR(8) NOT NULL,
	step_time VARCHAR(13) NOT NULL,
	requests TEXT NOT NULL,
	instances BIGINT NOT NULL,
	CONSTRAINT pk_dicom_series PRIMARY KEY (tree_id, n),
	CONSTRAINT fk_dicom_series_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id) ON DELETE CASCADE
)
 WITHOUT ROWID

CREATE TABLE dicom_study (
	id INTEGER NOT NULL,
	tree_id INTEGER NOT NULL,
	study_uid TEXT NOT NULL,
	session_id INTEGER,
	project_id INTEGER,
	place VARCHAR(10) DEFAULT '' NOT NULL,
	date VARCHAR(8) NOT NULL,
	time VARCHAR(13) NOT NULL,
	accession TEXT NOT NULL,
	patient_id TEXT NOT NULL,
	issuer TEXT NOT NULL,
	patient_name TEXT NOT NULL,
	patient_alphabetic TEXT NOT NULL,
	patient_ideographic TEXT NOT NULL,
	patient_phonetic TEXT NOT NULL,
	birth_date VARCHAR(8) NOT NULL,
	sex TEXT NOT NULL,
	physician TEXT NOT NULL,
	physician_alphabetic TEXT NOT NULL,
	physician_ideographic TEXT NOT NULL,
	physician_phonetic TEXT NOT NULL,
	study_id TEXT NOT NULL,
	description TEXT NOT NULL,
	timezone TEXT NOT NULL,
	modalities TEXT NOT NULL,
	series INTEGER NOT NULL,
	instances BIGINT NOT NULL,
	CONSTRAINT pk_dicom_study PRIMARY KEY (id),
	CONSTRAINT uq_dicom_study_tree_id_study_uid UNIQUE (tree_id, study_uid),
	CONSTRAINT fk_dicom_study_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id) ON DELETE CASCADE,
	CONSTRAINT fk_dicom_study_session_id FOREIGN KEY(session_id) REFERENCES session (id) ON DELETE SET NULL
)

CREATE TABLE download_manifest (
	id INTEGER NOT NULL,
	account_id INTEGER NOT NULL,
	name VARCHAR(128) NOT NULL,
	request TEXT NOT NULL,
	bytes INTEGER NOT NULL,
	created BIGINT NOT NULL,
	CONSTRAINT pk_download_manifest PRIMARY KEY (id),
	CONSTRAINT uq_download_manifest_account_id_name UNIQUE (account_id, name),
	CONSTRAINT fk_download_manifest_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE
)

CREATE TABLE ecat_file (
	tree_id INTEGER NOT NULL,
	n INTEGER NOT NULL,
	sha256 BLOB NOT NULL,
	origin BLOB,
	CONSTRAINT pk_ecat_file PRIMARY KEY (tree_id, n),
	CONSTRAINT fk_ecat_file_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id) ON DELETE CASCADE
)
 WITHOUT ROWID

CREATE TABLE event (
	id INTEGER NOT NULL,
	upload_id INTEGER NOT NULL,
	account_id INTEGER NOT NULL,
	kind VARCHAR(16) NOT NULL,
	data TEXT NOT NULL,
	at BIGINT NOT NULL,
	txid BIGINT DEFAULT 0 NOT NULL,
	CONSTRAINT pk_event PRIMARY KEY (id),
	CONSTRAINT fk_event_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE,
	CONSTRAINT fk_event_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE
)

CREATE TABLE file (
	tree_id INTEGER NOT NULL,
	n INTEGER NOT NULL,
	resource_n INTEGER NOT NULL,
	name TEXT NOT NULL,
	bytes BIGINT NOT NULL,
	sha256 BLOB NOT NULL,
	sop_uid TEXT,
	frames INTEGER DEFAULT 1 NOT NULL,
	dataset_at INTEGER DEFAULT 0 NOT NULL,
	md5 BLOB,
	verified BIGINT,
	content TEXT,
	format VARCHAR(32),
	tags TEXT,
	origin BLOB,
	rules BLOB,
	sop_hash BIGINT,
	sop_key BIGINT,
	CONSTRAINT pk_file PRIMARY KEY (tree_id, n),
	CONSTRAINT fk_file_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id)
)
 WITHOUT ROWID

CREATE TABLE file_md5 (
	tree_id INTEGER NOT NULL,
	first_n INTEGER NOT NULL,
	last_n INTEGER NOT NULL,
	body BLOB NOT NULL,
	CONSTRAINT pk_file_md5 PRIMARY KEY (tree_id, first_n),
	CONSTRAINT fk_file_md5_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id) ON DELETE CASCADE
)

CREATE TABLE file_place (
	tree_number BIGINT NOT NULL,
	first BLOB NOT NULL,
	files INTEGER NOT NULL,
	body BLOB NOT NULL,
	CONSTRAINT pk_file_place PRIMARY KEY (tree_number, first),
	CONSTRAINT fk_file_place_tree_number FOREIGN KEY(tree_number) REFERENCES stored_tree (number) ON DELETE CASCADE
)

CREATE TABLE gone_subject (
	number INTEGER NOT NULL,
	CONSTRAINT pk_gone_subject PRIMARY KEY (number)
)

CREATE TABLE gradual_upload (
	upload_id INTEGER NOT NULL,
	project_id INTEGER NOT NULL,
	timestamp VARCHAR(18) NOT NULL,
	label VARCHAR(128) NOT NULL,
	"key" VARCHAR(128) NOT NULL,
	subject VARCHAR(128) NOT NULL,
	study_uid TEXT NOT NULL,
	objects BIGINT DEFAULT 0 NOT NULL,
	wanted BOOLEAN DEFAULT false NOT NULL,
	CONSTRAINT pk_gradual_upload PRIMARY KEY (upload_id),
	CONSTRAINT fk_gradual_upload_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE,
	CONSTRAINT fk_gradual_upload_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE
)

CREATE TABLE host (
	uuid VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	boot VARCHAR(36) NOT NULL,
	role VARCHAR(6) NOT NULL,
	started BIGINT NOT NULL,
	seen BIGINT NOT NULL,
	worker_seen BIGINT DEFAULT 0 NOT NULL,
	folder TEXT DEFAULT '' NOT NULL,
	problem VARCHAR(32) DEFAULT '' NOT NULL,
	CONSTRAINT pk_host PRIMARY KEY (uuid),
	CONSTRAINT ck_host_role CHECK (role IN ('web', 'worker', 'all'))
)

CREATE TABLE inbox_import (
	number INTEGER NOT NULL,
	account_id INTEGER NOT NULL,
	upload_id INTEGER,
	path TEXT NOT NULL,
	cleanup BOOLEAN NOT NULL,
	asked TEXT NOT NULL,
	message TEXT DEFAULT '' NOT NULL,
	created BIGINT NOT NULL,
	cleaned BIGINT,
	"before" BIGINT,
	CONSTRAINT pk_inbox_import PRIMARY KEY (number),
	CONSTRAINT fk_inbox_import_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE,
	CONSTRAINT fk_inbox_import_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE SET NULL
)

CREATE TABLE intent (
	id INTEGER NOT NULL,
	upload_id INTEGER,
	n INTEGER NOT NULL,
	state VARCHAR(10) NOT NULL,
	name TEXT NOT NULL,
	staged TEXT,
	inode BIGINT NOT NULL,
	base_inode BIGINT,
	base_tree_id INTEGER,
	tree_id INTEGER NOT NULL,
	keep_base BOOLEAN NOT NULL,
	session TEXT NOT NULL,
	operation_id INTEGER,
	kind VARCHAR(8) NOT NULL,
	CONSTRAINT pk_intent PRIMARY KEY (id),
	CONSTRAINT uq_intent_upload_id_n UNIQUE (upload_id, n),
	CONSTRAINT uq_intent_operation_id_n UNIQUE (operation_id, n),
	CONSTRAINT ck_intent_state CHECK (state IN ('intent', 'published', 'done')),
	CONSTRAINT ck_intent_kind CHECK (kind IN ('publish', 'move', 'restore', 'remove')),
	CONSTRAINT ck_intent_whose CHECK ((upload_id IS NULL) <> (operation_id IS NULL)),
	CONSTRAINT ck_intent_staged CHECK ((staged IS NOT NULL) = (kind = 'publish')),
	CONSTRAINT fk_intent_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE,
	CONSTRAINT fk_intent_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id),
	CONSTRAINT fk_intent_operation_id FOREIGN KEY(operation_id) REFERENCES operation (id) ON DELETE CASCADE
)

CREATE TABLE joined_session (
	uuid VARCHAR(36) NOT NULL,
	into_uuid VARCHAR(36) NOT NULL,
	at BIGINT NOT NULL,
	CONSTRAINT pk_joined_session PRIMARY KEY (uuid)
)

CREATE TABLE login (
	secret_hash BLOB NOT NULL,
	account_id INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	csrf VARCHAR(64) NOT NULL,
	created BIGINT NOT NULL,
	seen BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	token_alias VARCHAR(36),
	CONSTRAINT pk_login PRIMARY KEY (secret_hash),
	CONSTRAINT fk_login_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE,
	CONSTRAINT fk_login_token_alias FOREIGN KEY(token_alias) REFERENCES api_token (alias) ON DELETE CASCADE
)

CREATE TABLE login_failure (
	"key" BLOB NOT NULL,
	forgiven BIGINT NOT NULL,
	CONSTRAINT pk_login_failure PRIMARY KEY ("key")
)

CREATE TABLE login_key (
	id INTEGER NOT NULL,
	secret BLOB NOT NULL,
	created BIGINT NOT NULL,
	CONSTRAINT pk_login_key PRIMARY KEY (id)
)

CREATE TABLE manifest (
	id INTEGER NOT NULL,
	tree_id INTEGER NOT NULL,
	first_n INTEGER NOT NULL,
	last_n INTEGER NOT NULL,
	first_resource INTEGER NOT NULL,
	last_resource INTEGER NOT NULL,
	files INTEGER NOT NULL,
	body BLOB NOT NULL,
	CONSTRAINT pk_manifest PRIMARY KEY (id),
	CONSTRAINT uq_manifest_tree_id_first_n UNIQUE (tree_id, first_n),
	CONSTRAINT fk_manifest_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id) ON DELETE CASCADE
)

CREATE TABLE member (
	project_id INTEGER NOT NULL,
	account_id INTEGER NOT NULL,
	role VARCHAR(12) NOT NULL,
	CONSTRAINT pk_member PRIMARY KEY (project_id, account_id),
	CONSTRAINT ck_member_role CHECK (role IN ('owner', 'member', 'collaborator')),
	CONSTRAINT fk_member_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE,
	CONSTRAINT fk_member_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE
)

CREATE TABLE object_block (
	id INTEGER NOT NULL,
	part BIGINT NOT NULL,
	body BLOB NOT NULL,
	CONSTRAINT pk_object_block PRIMARY KEY (id)
)

CREATE TABLE object_store (
	uuid VARCHAR(36) NOT NULL,
	nonce TEXT,
	predecessor TEXT,
	CONSTRAINT pk_object_store PRIMARY KEY (uuid)
)

CREATE TABLE operation (
	id INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	attempt INTEGER DEFAULT 0 NOT NULL,
	token VARCHAR(32) DEFAULT '' NOT NULL,
	lease_until BIGINT DEFAULT 0 NOT NULL,
	owner TEXT DEFAULT '' NOT NULL,
	created BIGINT NOT NULL,
	CONSTRAINT pk_operation PRIMARY KEY (id),
	CONSTRAINT uq_operation_uuid UNIQUE (uuid)
)

CREATE TABLE privacy_key (
	id INTEGER NOT NULL,
	fingerprint VARCHAR(64) NOT NULL,
	created BIGINT NOT NULL,
	CONSTRAINT pk_privacy_key PRIMARY KEY (id),
	CONSTRAINT uq_privacy_key_fingerprint UNIQUE (fingerprint)
)

CREATE TABLE privacy_text (
	id INTEGER NOT NULL,
	kind VARCHAR(8) NOT NULL,
	project_id INTEGER,
	name VARCHAR(64) DEFAULT '' NOT NULL,
	version INTEGER NOT NULL,
	enabled BOOLEAN NOT NULL,
	text TEXT NOT NULL,
	fingerprint VARCHAR(64) NOT NULL,
	created BIGINT NOT NULL,
	author TEXT NOT NULL,
	CONSTRAINT pk_privacy_text PRIMARY KEY (id),
	CONSTRAINT ck_privacy_text_kind CHECK (kind IN ('filter', 'script', 'lookup', 'settings', 'routing')),
	CONSTRAINT uq_privacy_text_kind_project_id_name_version UNIQUE (kind, project_id, name, version),
	CONSTRAINT fk_privacy_text_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE
)

CREATE TABLE progress (
	upload_id INTEGER NOT NULL,
	stage VARCHAR(16) NOT NULL,
	entries_done BIGINT NOT NULL,
	entries_total BIGINT,
	bytes_done BIGINT NOT NULL,
	bytes_total BIGINT,
	sessions TEXT NOT NULL,
	modified BIGINT NOT NULL,
	CONSTRAINT pk_progress PRIMARY KEY (upload_id),
	CONSTRAINT fk_progress_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE
)

CREATE TABLE project (
	id INTEGER NOT NULL,
	name VARCHAR(64) NOT NULL,
	"key" VARCHAR(128) NOT NULL,
	title TEXT DEFAULT '' NOT NULL,
	prearchive_code INTEGER DEFAULT 4 NOT NULL,
	identified VARCHAR(8) DEFAULT 'accept' NOT NULL,
	petmr VARCHAR(8) DEFAULT 'default' NOT NULL,
	separate_secondary BOOLEAN DEFAULT true NOT NULL,
	revision BIGINT DEFAULT 0 NOT NULL,
	created BIGINT NOT NULL,
	quarantine BOOLEAN DEFAULT false NOT NULL,
	uuid VARCHAR(36) DEFAULT '' NOT NULL,
	attributes TEXT DEFAULT '{}' NOT NULL,
	title_key VARCHAR(64) DEFAULT '' NOT NULL,
	secondary_key VARCHAR(64) DEFAULT '' NOT NULL,
	CONSTRAINT pk_project PRIMARY KEY (id),
	CONSTRAINT ck_project_prearchive_code CHECK (prearchive_code IN (0, 4, 5)),
	CONSTRAINT ck_project_identified CHECK (identified IN ('accept', 'warn', 'hold')),
	CONSTRAINT ck_project_petmr CHECK (petmr IN ('default', 'petmr', 'pet', 'separate')),
	CONSTRAINT uq_project_name UNIQUE (name),
	CONSTRAINT uq_project_key UNIQUE ("key")
)

CREATE TABLE project_access (
	project_id INTEGER NOT NULL,
	accessibility VARCHAR(9) NOT NULL,
	CONSTRAINT pk_project_access PRIMARY KEY (project_id),
	CONSTRAINT ck_project_access_accessibility CHECK (accessibility IN ('private', 'protected', 'public')),
	CONSTRAINT fk_project_access_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE
)

CREATE TABLE project_alias (
	"key" VARCHAR(128) NOT NULL,
	project_id INTEGER NOT NULL,
	alias VARCHAR(64) NOT NULL,
	CONSTRAINT pk_project_alias PRIMARY KEY ("key"),
	CONSTRAINT fk_project_alias_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE
)

CREATE TABLE project_deletion (
	project_id INTEGER NOT NULL,
	account_id INTEGER,
	actor VARCHAR(64) NOT NULL,
	address VARCHAR(64) NOT NULL,
	request_id VARCHAR(64) NOT NULL,
	begun BIGINT NOT NULL,
	CONSTRAINT pk_project_deletion PRIMARY KEY (project_id),
	CONSTRAINT fk_project_deletion_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE
)

CREATE TABLE project_maker (
	project_id INTEGER NOT NULL,
	account_id INTEGER NOT NULL,
	CONSTRAINT pk_project_maker PRIMARY KEY (project_id),
	CONSTRAINT fk_project_maker_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE,
	CONSTRAINT fk_project_maker_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE
)

CREATE TABLE project_sums (
	project_id INTEGER NOT NULL,
	subjects BIGINT NOT NULL,
	sessions BIGINT NOT NULL,
	waiting BIGINT NOT NULL,
	files BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	CONSTRAINT pk_project_sums PRIMARY KEY (project_id),
	CONSTRAINT fk_project_sums_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE
)

CREATE TABLE received_study (
	upload_id INTEGER NOT NULL,
	receiver_id INTEGER,
	calling VARCHAR(16) NOT NULL,
	called VARCHAR(16) NOT NULL,
	address VARCHAR(64) NOT NULL,
	host VARCHAR(255) NOT NULL,
	objects BIGINT DEFAULT 0 NOT NULL,
	begun BIGINT NOT NULL,
	heard BIGINT NOT NULL,
	rate BIGINT DEFAULT 0 NOT NULL,
	wish VARCHAR(8) DEFAULT '' NOT NULL,
	closed_by VARCHAR(8) DEFAULT '' NOT NULL,
	CONSTRAINT pk_received_study PRIMARY KEY (upload_id),
	CONSTRAINT ck_received_study_wish CHECK (wish IN ('', 'close', 'discard')),
	CONSTRAINT fk_received_study_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE,
	CONSTRAINT fk_received_study_receiver_id FOREIGN KEY(receiver_id) REFERENCES receiver (id) ON DELETE SET NULL
)

CREATE TABLE receiver (
	id INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	title VARCHAR(16) NOT NULL,
	port INTEGER NOT NULL,
	host VARCHAR(255) NOT NULL,
	bind VARCHAR(64) DEFAULT '' NOT NULL,
	enabled BOOLEAN DEFAULT true NOT NULL,
	label TEXT DEFAULT '' NOT NULL,
	tls BOOLEAN DEFAULT false NOT NULL,
	client_certificates VARCHAR(8) DEFAULT 'off' NOT NULL,
	allow_list TEXT DEFAULT '' NOT NULL,
	allow_list_enabled BOOLEAN DEFAULT false NOT NULL,
	project_uuid VARCHAR(36),
	destination VARCHAR(10),
	account_id INTEGER NOT NULL,
	closing VARCHAR(8) DEFAULT 'idle' NOT NULL,
	idle_seconds INTEGER,
	max_associations INTEGER,
	max_object_bytes BIGINT,
	anonymize BOOLEAN DEFAULT true NOT NULL,
	rules_enabled BOOLEAN DEFAULT false NOT NULL,
	project_rules TEXT DEFAULT '' NOT NULL,
	subject_rules TEXT DEFAULT '' NOT NULL,
	session_rules TEXT DEFAULT '' NOT NULL,
	created BIGINT NOT NULL,
	modified BIGINT NOT NULL,
	by_option BOOLEAN DEFAULT false NOT NULL,
	stopped BOOLEAN DEFAULT false NOT NULL,
	CONSTRAINT pk_receiver PRIMARY KEY (id),
	CONSTRAINT uq_receiver_title_port UNIQUE (title, port),
	CONSTRAINT ck_receiver_client_certificates CHECK (client_certificates IN ('off', 'optional', 'required')),
	CONSTRAINT ck_receiver_destination CHECK (destination IN ('prearchive', 'archive')),
	CONSTRAINT ck_receiver_closing CHECK (closing IN ('idle', 'release')),
	CONSTRAINT uq_receiver_uuid UNIQUE (uuid),
	CONSTRAINT fk_receiver_account_id FOREIGN KEY(account_id) REFERENCES account (id)
)

CREATE TABLE receiver_state (
	receiver_id INTEGER NOT NULL,
	host VARCHAR(255) NOT NULL,
	listening BOOLEAN NOT NULL,
	message TEXT DEFAULT '' NOT NULL,
	at BIGINT NOT NULL,
	CONSTRAINT pk_receiver_state PRIMARY KEY (receiver_id, host),
	CONSTRAINT fk_receiver_state_receiver_id FOREIGN KEY(receiver_id) REFERENCES receiver (id) ON DELETE CASCADE
)
 WITHOUT ROWID

CREATE TABLE reception (
	upload_id INTEGER NOT NULL,
	account_id INTEGER NOT NULL,
	project_id INTEGER,
	door VARCHAR(9) NOT NULL,
	size BIGINT,
	received BIGINT DEFAULT 0 NOT NULL,
	metadata TEXT DEFAULT '' NOT NULL,
	mapping TEXT DEFAULT '' NOT NULL,
	idempotency_key TEXT,
	expires BIGINT,
	accepted BIGINT,
	retry_at BIGINT DEFAULT 0 NOT NULL,
	cancel BOOLEAN DEFAULT false NOT NULL,
	reserved_until BIGINT,
	outages INTEGER DEFAULT 0 NOT NULL,
	heard BIGINT,
	writer VARCHAR(36) DEFAULT '' NOT NULL,
	writer_seen BIGINT,
	follow_token VARCHAR(32) DEFAULT '' NOT NULL,
	follow_owner TEXT DEFAULT '' NOT NULL,
	follow_until BIGINT DEFAULT 0 NOT NULL,
	CONSTRAINT pk_reception PRIMARY KEY (upload_id),
	CONSTRAINT uq_reception_account_id_idempotency_key UNIQUE (account_id, idempotency_key),
	CONSTRAINT ck_reception_door CHECK (door IN ('raw', 'multipart', 'tus', 'dimse', 'session', 'dicomweb', 'gradual')),
	CONSTRAINT fk_reception_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE,
	CONSTRAINT fk_reception_account_id FOREIGN KEY(account_id) REFERENCES account (id),
	CONSTRAINT fk_reception_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE SET NULL
)

CREATE TABLE reservation (
	name TEXT NOT NULL,
	upload_id INTEGER,
	operation_id INTEGER,
	CONSTRAINT pk_reservation PRIMARY KEY (name),
	CONSTRAINT ck_reservation_whose CHECK ((upload_id IS NULL) <> (operation_id IS NULL)),
	CONSTRAINT fk_reservation_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE,
	CONSTRAINT fk_reservation_operation_id FOREIGN KEY(operation_id) REFERENCES operation (id) ON DELETE CASCADE
)

CREATE TABLE resource (
	tree_id INTEGER NOT NULL,
	n INTEGER NOT NULL,
	scan_n INTEGER,
	label VARCHAR(128) NOT NULL,
	content TEXT NOT NULL,
	format VARCHAR(32) NOT NULL,
	files BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	tags TEXT DEFAULT '' NOT NULL,
	CONSTRAINT pk_resource PRIMARY KEY (tree_id, n),
	CONSTRAINT fk_resource_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id)
)
 WITHOUT ROWID

CREATE TABLE routing_rules (
	kind VARCHAR(8) NOT NULL,
	text TEXT NOT NULL,
	modified BIGINT NOT NULL,
	CONSTRAINT pk_routing_rules PRIMARY KEY (kind),
	CONSTRAINT ck_routing_rules_kind CHECK (kind IN ('project', 'subject', 'session'))
)

CREATE TABLE saved_search (
	id INTEGER NOT NULL,
	name VARCHAR(128) NOT NULL,
	account_id INTEGER NOT NULL,
	root TEXT NOT NULL,
	brief TEXT NOT NULL,
	description TEXT NOT NULL,
	tag TEXT DEFAULT '' NOT NULL,
	public BOOLEAN NOT NULL,
	document TEXT NOT NULL,
	created BIGINT NOT NULL,
	modified BIGINT NOT NULL,
	CONSTRAINT pk_saved_search PRIMARY KEY (id),
	CONSTRAINT uq_saved_search_name UNIQUE (name),
	CONSTRAINT fk_saved_search_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE
)

CREATE TABLE saved_search_user (
	search_id INTEGER NOT NULL,
	"key" VARCHAR(64) NOT NULL,
	name VARCHAR(64) NOT NULL,
	CONSTRAINT pk_saved_search_user PRIMARY KEY (search_id, "key"),
	CONSTRAINT fk_saved_search_user_search_id FOREIGN KEY(search_id) REFERENCES saved_search (id) ON DELETE CASCADE
)

CREATE TABLE scan (
	tree_id INTEGER NOT NULL,
	n INTEGER NOT NULL,
	scan_id VARCHAR(128) NOT NULL,
	series_uid TEXT,
	modality TEXT NOT NULL,
	xsi_type VARCHAR(64) NOT NULL,
	type TEXT NOT NULL,
	attributes TEXT NOT NULL,
	facts BLOB NOT NULL,
	frames BIGINT NOT NULL,
	files BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	sort_key TEXT DEFAULT '' NOT NULL,
	CONSTRAINT pk_scan PRIMARY KEY (tree_id, n),
	CONSTRAINT fk_scan_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id)
)
 WITHOUT ROWID

CREATE TABLE scan_edit (
	session_id INTEGER NOT NULL,
	scan_id VARCHAR(128) NOT NULL,
	type TEXT,
	quality VARCHAR(16),
	note TEXT,
	modified BIGINT NOT NULL,
	parameters TEXT DEFAULT '{}' NOT NULL,
	CONSTRAINT pk_scan_edit PRIMARY KEY (session_id, scan_id),
	CONSTRAINT fk_scan_edit_session_id FOREIGN KEY(session_id) REFERENCES session (id) ON DELETE CASCADE
)

CREATE TABLE session (
	id INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	project_id INTEGER NOT NULL,
	subject_id INTEGER,
	subject VARCHAR(128) NOT NULL,
	label VARCHAR(128) NOT NULL,
	"key" VARCHAR(128) NOT NULL,
	place VARCHAR(10) NOT NULL,
	timestamp VARCHAR(18) DEFAULT '' NOT NULL,
	state VARCHAR(8) NOT NULL,
	study_uid TEXT,
	patient_id TEXT DEFAULT '' NOT NULL,
	by_hand BOOLEAN DEFAULT false NOT NULL,
	ecat BOOLEAN DEFAULT false NOT NULL,
	xsi_type VARCHAR(64) NOT NULL,
	attributes TEXT NOT NULL,
	warnings TEXT NOT NULL,
	held_code VARCHAR(32) DEFAULT '' NOT NULL,
	held_message TEXT DEFAULT '' NOT NULL,
	held_remedy TEXT DEFAULT '' NOT NULL,
	tree_id INTEGER NOT NULL,
	scans INTEGER NOT NULL,
	files BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	created BIGINT NOT NULL,
	modified BIGINT NOT NULL,
	quarantined BOOLEAN DEFAULT false NOT NULL,
	type_by_hand BOOLEAN DEFAULT false NOT NULL,
	fields_by_hand TEXT DEFAULT '[]' NOT NULL,
	folder VARCHAR(128) DEFAULT '' NOT NULL,
	overwrite VARCHAR(8) DEFAULT '' NOT NULL,
	received BIGINT DEFAULT 0 NOT NULL,
	received_by INTEGER,
	date VARCHAR(10) DEFAULT '' NOT NULL,
	modalities TEXT DEFAULT '' NOT NULL,
	side VARCHAR(3) DEFAULT '' NOT NULL,
	study_key VARCHAR(32) DEFAULT '' NOT NULL,
	patient_key VARCHAR(36) DEFAULT '' NOT NULL,
	CONSTRAINT pk_session PRIMARY KEY (id),
	CONSTRAINT uq_session_project_id_place_timestamp_key UNIQUE (project_id, place, timestamp, "key"),
	CONSTRAINT ck_session_place CHECK (place IN ('archive', 'prearchive')),
	CONSTRAINT ck_session_state CHECK (state IN ('ready', 'conflict')),
	CONSTRAINT uq_session_uuid UNIQUE (uuid),
	CONSTRAINT fk_session_project_id FOREIGN KEY(project_id) REFERENCES project (id),
	CONSTRAINT fk_session_subject_id FOREIGN KEY(subject_id) REFERENCES subject (id),
	CONSTRAINT fk_session_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id),
	CONSTRAINT fk_session_received_by FOREIGN KEY(received_by) REFERENCES upload (id) ON DELETE SET NULL
)

CREATE TABLE session_import (
	upload_id INTEGER NOT NULL,
	session_uuid VARCHAR(36) NOT NULL,
	CONSTRAINT pk_session_import PRIMARY KEY (upload_id),
	CONSTRAINT fk_session_import_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE
)

CREATE TABLE shelf (
	id INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	project_id INTEGER NOT NULL,
	subject_id INTEGER,
	"key" VARCHAR(48) NOT NULL,
	tree_id INTEGER NOT NULL,
	files BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	created BIGINT NOT NULL,
	modified BIGINT NOT NULL,
	CONSTRAINT pk_shelf PRIMARY KEY (id),
	CONSTRAINT uq_shelf_project_id_key UNIQUE (project_id, "key"),
	CONSTRAINT uq_shelf_uuid UNIQUE (uuid),
	CONSTRAINT fk_shelf_project_id FOREIGN KEY(project_id) REFERENCES project (id),
	CONSTRAINT fk_shelf_subject_id FOREIGN KEY(subject_id) REFERENCES subject (id),
	CONSTRAINT fk_shelf_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id)
)

CREATE TABLE spool_part (
	upload VARCHAR(128) NOT NULL,
	at BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	"key" TEXT NOT NULL,
	sha256 BLOB NOT NULL,
	CONSTRAINT pk_spool_part PRIMARY KEY (upload, at)
)

CREATE TABLE spool_writer (
	upload VARCHAR(128) NOT NULL,
	writer VARCHAR(32) NOT NULL,
	CONSTRAINT pk_spool_writer PRIMARY KEY (upload)
)

CREATE TABLE store_attempt (
	upload VARCHAR(128) NOT NULL,
	token VARCHAR(128) NOT NULL,
	began BIGINT NOT NULL,
	ended BIGINT,
	swept BOOLEAN DEFAULT false NOT NULL,
	CONSTRAINT pk_store_attempt PRIMARY KEY (upload, token)
)

CREATE TABLE stored_object (
	id INTEGER NOT NULL,
	"key" TEXT NOT NULL,
	bytes BIGINT NOT NULL,
	due BIGINT,
	live BIGINT,
	CONSTRAINT pk_stored_object PRIMARY KEY (id),
	CONSTRAINT uq_stored_object_key UNIQUE ("key")
)

CREATE TABLE stored_receipt (
	upload VARCHAR(128) NOT NULL,
	staged BOOLEAN NOT NULL,
	"key" TEXT NOT NULL,
	CONSTRAINT pk_stored_receipt PRIMARY KEY (upload, staged)
)

CREATE TABLE stored_tree (
	number BIGINT NOT NULL,
	upload VARCHAR(128),
	token VARCHAR(128),
	root TEXT,
	name TEXT,
	trash VARCHAR(128),
	note TEXT DEFAULT '' NOT NULL,
	shown BOOLEAN DEFAULT false NOT NULL,
	gone BIGINT,
	manifest TEXT,
	CONSTRAINT pk_stored_tree PRIMARY KEY (number),
	CONSTRAINT uq_stored_tree_name UNIQUE (name),
	CONSTRAINT uq_stored_tree_trash UNIQUE (trash)
)

CREATE TABLE subject (
	id INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	project_id INTEGER NOT NULL,
	label VARCHAR(128) NOT NULL,
	"key" VARCHAR(128) NOT NULL,
	created BIGINT NOT NULL,
	attributes TEXT DEFAULT '{}' NOT NULL,
	modified BIGINT,
	CONSTRAINT pk_subject PRIMARY KEY (id),
	CONSTRAINT uq_subject_project_id_key UNIQUE (project_id, "key"),
	CONSTRAINT uq_subject_uuid UNIQUE (uuid),
	CONSTRAINT fk_subject_project_id FOREIGN KEY(project_id) REFERENCES project (id)
)

CREATE TABLE subject_patient (
	subject_id INTEGER NOT NULL,
	patient_id TEXT NOT NULL,
	CONSTRAINT pk_subject_patient PRIMARY KEY (subject_id, patient_id),
	CONSTRAINT fk_subject_patient_subject_id FOREIGN KEY(subject_id) REFERENCES subject (id) ON DELETE CASCADE
)

CREATE TABLE subscription (
	id INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	account_id INTEGER,
	project_id INTEGER,
	kind VARCHAR(8) NOT NULL,
	target TEXT NOT NULL,
	secret TEXT DEFAULT '' NOT NULL,
	states TEXT NOT NULL,
	created BIGINT NOT NULL,
	CONSTRAINT pk_subscription PRIMARY KEY (id),
	CONSTRAINT ck_subscription_kind CHECK (kind IN ('email', 'webhook')),
	CONSTRAINT ck_subscription_whose CHECK ((account_id IS NULL) <> (project_id IS NULL)),
	CONSTRAINT uq_subscription_uuid UNIQUE (uuid),
	CONSTRAINT fk_subscription_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE,
	CONSTRAINT fk_subscription_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE
)

CREATE TABLE tracked (
	number INTEGER NOT NULL,
	account_id INTEGER NOT NULL,
	"key" TEXT NOT NULL,
	upload_id INTEGER,
	created BIGINT NOT NULL,
	alive_until BIGINT,
	entries TEXT DEFAULT '' NOT NULL,
	succeeded BOOLEAN,
	final TEXT DEFAULT '' NOT NULL,
	CONSTRAINT pk_tracked PRIMARY KEY (number),
	CONSTRAINT fk_tracked_account_id FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE,
	CONSTRAINT fk_tracked_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE SET NULL
)

CREATE TABLE trashed (
	uuid VARCHAR(36) NOT NULL,
	project_id INTEGER NOT NULL,
	tree_id INTEGER NOT NULL,
	trash_id TEXT NOT NULL,
	name TEXT NOT NULL,
	session TEXT NOT NULL,
	account_id INTEGER,
	deleted BIGINT NOT NULL,
	CONSTRAINT pk_trashed PRIMARY KEY (uuid),
	CONSTRAINT fk_trashed_project_id FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE,
	CONSTRAINT fk_trashed_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id)
)

CREATE TABLE tree (
	id INTEGER NOT NULL,
	upload_id INTEGER,
	state VARCHAR(8) NOT NULL,
	files BIGINT DEFAULT 0 NOT NULL,
	bytes BIGINT DEFAULT 0 NOT NULL,
	created BIGINT NOT NULL,
	operation_id INTEGER,
	listing INTEGER DEFAULT 0 NOT NULL,
	file_rows INTEGER DEFAULT 0 NOT NULL,
	CONSTRAINT pk_tree PRIMARY KEY (id),
	CONSTRAINT ck_tree_state CHECK (state IN ('staged', 'current', 'retired')),
	CONSTRAINT fk_tree_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id),
	CONSTRAINT fk_tree_operation_id FOREIGN KEY(operation_id) REFERENCES operation (id) ON DELETE SET NULL
)

CREATE TABLE tree_object (
	tree_number BIGINT NOT NULL,
	object_id INTEGER NOT NULL,
	CONSTRAINT pk_tree_object PRIMARY KEY (tree_number, object_id),
	CONSTRAINT fk_tree_object_tree_number FOREIGN KEY(tree_number) REFERENCES stored_tree (number) ON DELETE CASCADE,
	CONSTRAINT fk_tree_object_object_id FOREIGN KEY(object_id) REFERENCES stored_object (id)
)

CREATE TABLE upload (
	id INTEGER NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	archive TEXT NOT NULL,
	source VARCHAR(8) NOT NULL,
	state VARCHAR(16) NOT NULL,
	code VARCHAR(32) DEFAULT '' NOT NULL,
	message TEXT DEFAULT '' NOT NULL,
	request TEXT NOT NULL,
	attempt INTEGER DEFAULT 0 NOT NULL,
	token VARCHAR(32) DEFAULT '' NOT NULL,
	lease_until BIGINT DEFAULT 0 NOT NULL,
	owner TEXT DEFAULT '' NOT NULL,
	report TEXT DEFAULT '' NOT NULL,
	created BIGINT NOT NULL,
	finished BIGINT,
	deleted BOOLEAN DEFAULT false NOT NULL,
	CONSTRAINT pk_upload PRIMARY KEY (id),
	CONSTRAINT ck_upload_source CHECK (source IN ('cli', 'server')),
	CONSTRAINT ck_upload_state CHECK (state IN ('receiving', 'received', 'running', 'placed', 'held', 'partly', 'refused', 'failed', 'cancelled')),
	CONSTRAINT uq_upload_uuid UNIQUE (uuid)
)

CREATE TABLE upload_exception (
	upload_id INTEGER NOT NULL,
	n INTEGER NOT NULL,
	path TEXT NOT NULL,
	verdict VARCHAR(16) NOT NULL,
	code VARCHAR(32) NOT NULL,
	message TEXT NOT NULL,
	CONSTRAINT pk_upload_exception PRIMARY KEY (upload_id, n),
	CONSTRAINT fk_upload_exception_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id) ON DELETE CASCADE
)
 WITHOUT ROWID

CREATE TABLE verification (
	tree_id INTEGER NOT NULL,
	done_n INTEGER NOT NULL,
	finished BIGINT,
	begun BIGINT,
	asked BIGINT,
	oldest BIGINT,
	doubted BIGINT,
	CONSTRAINT pk_verification PRIMARY KEY (tree_id),
	CONSTRAINT fk_verification_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id) ON DELETE CASCADE
)

CREATE TABLE verified_files (
	tree_id INTEGER NOT NULL,
	first_n INTEGER NOT NULL,
	last_n INTEGER NOT NULL,
	verified BIGINT NOT NULL,
	CONSTRAINT pk_verified_files PRIMARY KEY (tree_id, first_n),
	CONSTRAINT fk_verified_files_tree_id FOREIGN KEY(tree_id) REFERENCES tree (id) ON DELETE CASCADE
)
 WITHOUT ROWID

CREATE INDEX ix_api_token_account_id ON api_token (account_id)

CREATE INDEX ix_api_token_parent_alias ON api_token (parent_alias)

CREATE INDEX ix_assessor_key ON assessor ("key")

CREATE INDEX ix_audit_account_id_id ON audit (account_id, id)

CREATE INDEX ix_audit_at ON audit (at)

CREATE INDEX ix_audit_project_id ON audit (project, id)

CREATE INDEX ix_audit_project_uuid_id ON audit (project_uuid, id)

CREATE INDEX ix_audit_session_target ON audit (target, id) WHERE kind = 'session'

CREATE INDEX ix_cached_file_account_id_resource ON cached_file (account_id, resource)

CREATE INDEX ix_commitment_receiver_id ON commitment (receiver_id)

CREATE INDEX ix_commitment_state_due ON commitment (state, due)

CREATE INDEX ix_delivery_account_id ON delivery (account_id)

CREATE INDEX ix_delivery_state_next_at ON delivery (state, next_at)

CREATE INDEX ix_dicom_association_receiver_id_id ON dicom_association (receiver_id, id)

CREATE INDEX ix_dicom_series_series_uid ON dicom_series (series_uid)

CREATE INDEX ix_dicom_study_date_time_id ON dicom_study (date, time, id)

CREATE INDEX ix_dicom_study_project_id_accession ON dicom_study (project_id, accession)

CREATE INDEX ix_dicom_study_project_id_patient_alphabetic ON dicom_study (project_id, patient_alphabetic)

CREATE INDEX ix_dicom_study_project_id_patient_id ON dicom_study (project_id, patient_id)

CREATE INDEX ix_dicom_study_project_id_place_date_time_id ON dicom_study (project_id, place, date, time, id)

CREATE INDEX ix_dicom_study_session_id ON dicom_study (session_id)

CREATE INDEX ix_dicom_study_study_uid_project_id_place_session_id_id ON dicom_study (study_uid, project_id, place, session_id, id)

CREATE INDEX ix_download_manifest_created ON download_manifest (created)

CREATE INDEX ix_ecat_file_origin ON ecat_file (origin) WHERE origin IS NOT NULL

CREATE INDEX ix_ecat_file_sha256 ON ecat_file (sha256)

CREATE INDEX ix_event_account_id_id ON event (account_id, id)

CREATE INDEX ix_event_txid ON event (txid, id) WHERE txid > 0

CREATE INDEX ix_event_upload_id_id ON event (upload_id, id)

CREATE INDEX ix_file_sop_hash ON file (sop_hash) WHERE sop_hash IS NOT NULL

CREATE INDEX ix_file_sop_key ON file (sop_key) WHERE sop_key IS NOT NULL

CREATE INDEX ix_file_unhashed ON file (tree_id) WHERE sop_uid IS NOT NULL AND sop_hash IS NULL

CREATE INDEX ix_gradual_upload_project_id_timestamp ON gradual_upload (project_id, timestamp)

CREATE INDEX ix_inbox_import_account_id ON inbox_import (account_id)

CREATE INDEX ix_inbox_import_upload_id ON inbox_import (upload_id)

CREATE INDEX ix_login_account_id ON login (account_id)

CREATE INDEX ix_login_failure_forgiven ON login_failure (forgiven)

CREATE INDEX ix_login_token_alias ON login (token_alias)

CREATE INDEX ix_member_account_id ON member (account_id)

CREATE INDEX ix_object_block_part ON object_block (part)

CREATE INDEX ix_privacy_text_project_id ON privacy_text (project_id)

CREATE INDEX ix_project_alias_project_id ON project_alias (project_id)

CREATE INDEX ix_project_maker_account_id ON project_maker (account_id)

CREATE INDEX ix_project_secondary_key ON project (secondary_key)

CREATE INDEX ix_project_title_key ON project (title_key)

CREATE UNIQUE INDEX ix_project_uuid ON project (uuid)

CREATE INDEX ix_received_study_receiver_id ON received_study (receiver_id)

CREATE INDEX ix_receiver_account_id ON receiver (account_id)

CREATE INDEX ix_receiver_project_uuid ON receiver (project_uuid)

CREATE INDEX ix_reception_account_id ON reception (account_id)

CREATE INDEX ix_reception_project_id ON reception (project_id)

CREATE INDEX ix_reservation_operation_id ON reservation (operation_id)

CREATE INDEX ix_reservation_upload_id ON reservation (upload_id)

CREATE INDEX ix_saved_search_account_id ON saved_search (account_id)

CREATE INDEX ix_saved_search_user_key ON saved_search_user ("key")

CREATE INDEX ix_session_import_session_uuid ON session_import (session_uuid)

CREATE INDEX ix_session_place_bytes_id ON session (place, bytes, id)

CREATE INDEX ix_session_place_created_id ON session (place, created, id)

CREATE INDEX ix_session_place_key_id ON session (place, "key", id)

CREATE INDEX ix_session_place_modified_id ON session (place, modified, id)

CREATE INDEX ix_session_project_id_key ON session (project_id, "key")

CREATE INDEX ix_session_project_id_patient_id ON session (project_id, patient_id)

CREATE INDEX ix_session_project_id_patient_key ON session (project_id, patient_key)

CREATE INDEX ix_session_project_id_place_date_id ON session (project_id, place, date, id)

CREATE INDEX ix_session_project_id_place_modalities_id ON session (project_id, place, modalities, id)

CREATE INDEX ix_session_project_id_place_received_id ON session (project_id, place, received, id)

CREATE INDEX ix_session_project_id_place_subject_id ON session (project_id, place, subject, id)

CREATE INDEX ix_session_project_id_study_key ON session (project_id, study_key)

CREATE INDEX ix_session_project_id_study_uid ON session (project_id, study_uid)

CREATE INDEX ix_session_received_by ON session (received_by)

CREATE INDEX ix_session_subject_id ON session (subject_id)

CREATE INDEX ix_session_tree_id ON session (tree_id)

CREATE INDEX ix_shelf_subject_id ON shelf (subject_id)

CREATE INDEX ix_shelf_tree_id ON shelf (tree_id)

CREATE INDEX ix_stored_object_due ON stored_object (due)

CREATE INDEX ix_stored_object_sparse ON stored_object (id) WHERE live < bytes AND due IS NULL

CREATE INDEX ix_stored_object_uncounted ON stored_object (id) WHERE live IS NULL AND due IS NULL

CREATE INDEX ix_stored_tree_gone ON stored_tree (gone)

CREATE INDEX ix_stored_tree_uncopied ON stored_tree (number) WHERE name IS NOT NULL AND manifest IS NULL

CREATE INDEX ix_stored_tree_upload ON stored_tree (upload)

CREATE INDEX ix_tracked_account_id_key ON tracked (account_id, "key")

CREATE INDEX ix_tracked_upload_id ON tracked (upload_id)

CREATE INDEX ix_trashed_project_id ON trashed (project_id)

CREATE INDEX ix_tree_not_current ON tree (id) WHERE state <> 'current'

CREATE INDEX ix_tree_object_object_id ON tree_object (object_id)

CREATE INDEX ix_tree_operation_id ON tree (operation_id)

CREATE INDEX ix_tree_unlisted ON tree (id) WHERE listing < 2

CREATE INDEX ix_tree_upload_id ON tree (upload_id)

CREATE INDEX ix_tree_with_rows ON tree (id) WHERE file_rows > 0

CREATE INDEX ix_upload_state ON upload (state)

CREATE INDEX ix_verification_finished ON verification (finished)

CREATE INDEX ix_verification_oldest ON verification (oldest)

CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append only'); END

CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN NEW.id > 0 AND EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'audit is append only'); END

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append only'); END
