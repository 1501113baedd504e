/**
 * The tables, step by step. A step that has been released is never changed; each only adds, so that processes of the
 * version before go on working while a fleet is upgraded. `{schema}` is the schema configured.
 */
export const MIGRATIONS: readonly string[] = [
  `
CREATE TABLE {schema}.positions (
  partition int PRIMARY KEY,
  seq bigint NOT NULL,
  next_offset bigint NOT NULL
);
CREATE TABLE {schema}.disruptions (
  id text COLLATE "C" NOT NULL,
  detected_ms bigint NOT NULL,
  tenant text NOT NULL,
  tenant_hash bigint NOT NULL,
  revision int NOT NULL,
  status text NOT NULL,
  severity text NOT NULL,
  entity text NOT NULL,
  started_ms bigint NOT NULL,
  ended_ms bigint,
  body jsonb NOT NULL,
  PRIMARY KEY (id, detected_ms)
) PARTITION BY RANGE (detected_ms);
CREATE INDEX ON {schema}.disruptions (detected_ms DESC, id DESC);
CREATE INDEX ON {schema}.disruptions (tenant_hash, detected_ms DESC, id DESC);
CREATE INDEX ON {schema}.disruptions (detected_ms DESC, id DESC) WHERE status = 'open';
CREATE INDEX ON {schema}.disruptions USING gist (int8range(started_ms, CASE WHEN ended_ms IS NULL THEN NULL ELSE greatest(started_ms, ended_ms) END, '[]'));
CREATE TABLE {schema}.traits (
  id text COLLATE "C" NOT NULL,
  detected_ms bigint NOT NULL,
  trait bigint NOT NULL,
  kind smallint NOT NULL,
  size int NOT NULL
) PARTITION BY RANGE (detected_ms);
CREATE INDEX ON {schema}.traits (trait, detected_ms DESC, id DESC) INCLUDE (kind, size);
CREATE INDEX ON {schema}.traits (id);
CREATE TABLE {schema}.anomalies (
  id text COLLATE "C" NOT NULL,
  detected_ms bigint NOT NULL,
  tenant text NOT NULL,
  tenant_hash bigint NOT NULL,
  status text NOT NULL,
  severity text NOT NULL,
  entity text NOT NULL,
  entity_hash bigint NOT NULL,
  series text NOT NULL,
  series_hash bigint NOT NULL,
  started_ms bigint NOT NULL,
  ended_ms bigint,
  body jsonb NOT NULL,
  PRIMARY KEY (id, detected_ms)
) PARTITION BY RANGE (detected_ms);
CREATE INDEX ON {schema}.anomalies (detected_ms DESC, id DESC);
CREATE INDEX ON {schema}.anomalies (tenant_hash, detected_ms DESC, id DESC);
CREATE INDEX ON {schema}.anomalies (entity_hash, tenant_hash, detected_ms DESC, id DESC);
CREATE INDEX ON {schema}.anomalies (series_hash, tenant_hash, detected_ms DESC, id DESC);
CREATE INDEX ON {schema}.anomalies (detected_ms DESC, id DESC) WHERE status = 'open';
CREATE INDEX ON {schema}.anomalies USING gist (int8range(started_ms, CASE WHEN ended_ms IS NULL THEN NULL ELSE greatest(started_ms, ended_ms) END, '[]'));
CREATE TABLE {schema}.changes (
  id text COLLATE "C" NOT NULL,
  detected_ms bigint NOT NULL,
  entity text NOT NULL,
  kind text NOT NULL,
  body jsonb NOT NULL,
  PRIMARY KEY (id, detected_ms)
) PARTITION BY RANGE (detected_ms);
CREATE INDEX ON {schema}.changes (detected_ms DESC, id DESC);
CREATE TABLE {schema}.audit (
  id text COLLATE "C" NOT NULL,
  detected_ms bigint NOT NULL,
  who text NOT NULL,
  action text NOT NULL,
  body jsonb NOT NULL,
  PRIMARY KEY (id, detected_ms)
) PARTITION BY RANGE (detected_ms);
CREATE INDEX ON {schema}.audit (detected_ms DESC, id DESC);
CREATE TABLE {schema}.disruptions_other PARTITION OF {schema}.disruptions DEFAULT;
CREATE TABLE {schema}.traits_other PARTITION OF {schema}.traits DEFAULT;
CREATE TABLE {schema}.anomalies_other PARTITION OF {schema}.anomalies DEFAULT;
CREATE TABLE {schema}.changes_other PARTITION OF {schema}.changes DEFAULT;
CREATE TABLE {schema}.audit_other PARTITION OF {schema}.audit DEFAULT;
`,
  // Changes of a tenant are found by its hash, as `hash64` makes it, and have an id of their own (`keyOfChange`).
  `
ALTER TABLE {schema}.changes ADD COLUMN tenant text NOT NULL DEFAULT 'default';
ALTER TABLE {schema}.changes ADD COLUMN tenant_hash bigint NOT NULL DEFAULT 0;
UPDATE {schema}.changes SET tenant = body->>'tenant' WHERE body->>'tenant' IS NOT NULL;
UPDATE {schema}.changes SET tenant_hash =
  ('x' || encode(substring(sha256(convert_to(jsonb_build_array(tenant)::text, 'UTF8')) FROM 1 FOR 8), 'hex'))::bit(64)::bigint;
ALTER TABLE {schema}.changes ALTER COLUMN tenant DROP DEFAULT;
ALTER TABLE {schema}.changes ALTER COLUMN tenant_hash DROP DEFAULT;
CREATE INDEX ON {schema}.changes (tenant_hash, detected_ms DESC, id DESC);
`,
]
