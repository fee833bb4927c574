-- What Redshift's catalog has and PostgreSQL's has not. Run once by the superuser, in the database that clients see.
SET allow_system_table_mods = on;
SET standard_conforming_strings = on;

CREATE SCHEMA redshift_internal;
GRANT USAGE ON SCHEMA redshift_internal TO PUBLIC;

-- json and not jsonb: the text keeps its order and its duplicate keys
CREATE DOMAIN pg_catalog.super AS json;

CREATE FUNCTION pg_catalog.json_parse(text) RETURNS super LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1::json::super';
CREATE FUNCTION pg_catalog.json_serialize(super) RETURNS varchar LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1::text::varchar';
CREATE FUNCTION pg_catalog.getdate() RETURNS timestamp LANGUAGE sql STABLE AS
    'SELECT date_trunc(''second'', now() AT TIME ZONE ''UTC'')';
CREATE FUNCTION pg_catalog.nvl(anyelement, anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, $2)';
CREATE FUNCTION pg_catalog.len(text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS 'SELECT length($1)';

-- The session's variables go back with a rollback, as Redshift's copy id does; the proxy writes them.
CREATE FUNCTION pg_catalog.pg_last_copy_id() RETURNS integer LANGUAGE sql VOLATILE AS
    $$ SELECT coalesce(nullif(current_setting('redshift.copy_id', true), '')::integer, -1) $$;
CREATE FUNCTION pg_catalog.pg_last_copy_count() RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT coalesce(nullif(current_setting('redshift.copy_count', true), '')::bigint, 0) $$;

CREATE OR REPLACE FUNCTION pg_catalog.version() RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0.0 (a stand-in)' $$;

-- pg_attrdef as Redshift has it: with adsrc, and with identities, which are defaults there; clients get it by that name
CREATE VIEW pg_catalog.redshift_attrdef AS
SELECT adrelid, adnum, adbin, pg_get_expr(adbin, adrelid) AS adsrc FROM pg_catalog.pg_attrdef
UNION ALL
SELECT a.attrelid, a.attnum, NULL, format(
    '%s(%s, %s, ''%s,%s''::text)', CASE a.attidentity WHEN 'a' THEN '"identity"' ELSE 'default_identity' END,
    a.attrelid::oid, a.attnum - 1, s.seqstart, s.seqincrement
)
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_depend AS d ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i'
JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = d.objid
WHERE a.attidentity <> '';
GRANT SELECT ON pg_catalog.redshift_attrdef TO PUBLIC;

CREATE SEQUENCE redshift_internal.query_ids START 1000;

CREATE TABLE redshift_internal.load_errors (
    query integer, transaction_id bigint, session_id integer, table_id integer, start_time timestamp, file_name varchar(256),
    line_number bigint, column_name varchar(127), column_type varchar(10), column_length varchar(10), position integer,
    raw_line varchar(1024), raw_value varchar(1024), code integer, reason varchar(512)
);
CREATE TABLE redshift_internal.loads (
    query integer, transaction_id bigint, session_id integer, table_name varchar(128), status varchar(10),
    loaded_rows bigint, loaded_bytes bigint, source_file_count integer, error_count integer,
    start_time timestamp, data_source varchar(256), error_message varchar(512)
);
CREATE TABLE redshift_internal.load_files (query integer, file_name varchar(256), lines_scanned bigint, bytes_scanned bigint);

-- fixed-length text comes padded with blanks, as from Redshift
CREATE VIEW pg_catalog.stl_load_errors AS SELECT
    100 AS userid, 0 AS slice, table_id AS tbl, start_time AS starttime, session_id AS session, query,
    file_name::char(256) AS filename, line_number, column_name::char(127) AS colname, column_type::char(10) AS type,
    column_length::char(10) AS col_length, position, raw_line::char(1024) AS raw_line,
    raw_value::char(1024) AS raw_field_value, code AS err_code, reason::char(100) AS err_reason,
    0 AS is_partial, 0::bigint AS start_offset
FROM redshift_internal.load_errors;

CREATE VIEW pg_catalog.stl_loaderror_detail AS SELECT
    100 AS userid, 0 AS slice, session_id AS session, query, file_name::char(256) AS filename, line_number, 0 AS field,
    column_name::char(1024) AS colname, raw_value::char(1024) AS value, CASE WHEN raw_value IS NULL THEN 1 ELSE 0 END AS is_null,
    column_type::char(10) AS type, column_length::char(10) AS col_length
FROM redshift_internal.load_errors;

CREATE VIEW pg_catalog.sys_load_error_detail AS SELECT
    100 AS user_id, query::bigint AS query_id, transaction_id, session_id, current_database()::char(64) AS database_name,
    table_id, start_time, file_name::char(256) AS file_name, line_number, column_name::char(127) AS column_name,
    column_type::char(10) AS column_type, column_length::char(10) AS column_length, position,
    code AS error_code, reason::char(512) AS error_message
FROM redshift_internal.load_errors;

CREATE VIEW pg_catalog.sys_load_history AS SELECT
    100 AS user_id, query::bigint AS query_id, transaction_id, session_id, current_database()::text AS database_name,
    status::text, table_name::text, start_time, start_time AS end_time, data_source::text, loaded_rows, loaded_bytes,
    source_file_count, error_count, error_message::text
FROM redshift_internal.loads;

CREATE VIEW pg_catalog.sys_load_detail AS SELECT
    100 AS user_id, query::bigint AS query_id, file_name::char(256) AS file_name, bytes_scanned, lines_scanned
FROM redshift_internal.load_files;

GRANT SELECT ON ALL TABLES IN SCHEMA redshift_internal TO PUBLIC;
GRANT SELECT ON pg_catalog.stl_load_errors, pg_catalog.stl_loaderror_detail, pg_catalog.sys_load_error_detail,
    pg_catalog.sys_load_history, pg_catalog.sys_load_detail TO PUBLIC;

-- VARCHAR(n) and CHAR(n) count bytes: every table gets a check in addition to PostgreSQL's own, which counts characters.
CREATE FUNCTION redshift_internal.count_bytes() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
    changes text;
BEGIN
    FOR relation IN
        SELECT DISTINCT c.oid::regclass FROM pg_event_trigger_ddl_commands() AS d JOIN pg_class AS c ON c.oid = d.objid
        WHERE d.classid = 'pg_class'::regclass AND c.relkind = 'r'
    LOOP
        WITH wanted AS (
            SELECT a.attname, format('redshift_bytes_%s_%s', a.attnum, a.atttypmod - 4) AS check_name, a.atttypmod - 4 AS bytes
            FROM pg_attribute AS a
            WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypmod > 4
              AND a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype)
        ), present AS (
            SELECT conname FROM pg_constraint WHERE conrelid = relation AND conname LIKE 'redshift\_bytes\_%'
        )
        SELECT string_agg(change, ', ') INTO changes FROM (
            SELECT format('ADD CONSTRAINT %I CHECK (octet_length(%I) <= %s)', check_name, attname, bytes) AS change
            FROM wanted WHERE check_name NOT IN (SELECT conname FROM present)
            UNION ALL
            SELECT format('DROP CONSTRAINT %I', conname) FROM present WHERE conname NOT IN (SELECT check_name FROM wanted)
        ) AS c;
        -- in one command, so that the trigger of the change itself finds nothing left to do
        IF changes IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s %s', relation, changes);
        END IF;
    END LOOP;
END $$;
CREATE EVENT TRIGGER redshift_bytes ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
    EXECUTE FUNCTION redshift_internal.count_bytes();
