package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"kontor.dev/kontor/internal/store/columns"
)

// described is what the migrations make, as catalog finds it: a test compares it with that.
//
//go:embed schema.txt
var described string

// object is something that the schema has, as the server describes it.
type object struct{ kind, name, table, definition string }

func scanObject(row columns.Row) (o object, err error) {
	return o, row.Scan(&o.kind, &o.name, &o.table, &o.definition)
}

// String names it, for people.
func (o object) String() string {
	if o.table == "" {
		return o.kind + " " + o.name
	}
	return fmt.Sprintf("%s %s on %s", o.kind, o.name, o.table)
}

// catalog lists all that takes part in what is read and written: tables and whatever looks like one, with their
// columns; indexes, constraints, policies, triggers, rules, functions. What came with an extension is left out. No
// definition names the schema, which is each operator's own.
const catalog = `
	WITH own AS (
		SELECT c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND NOT EXISTS (
			SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
	)
	SELECT CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
			WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'sequence' END, relname::text, '',
		(SELECT coalesce(string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
				(SELECT 'COLLATE ' || l.collname FROM pg_collation l
					WHERE l.oid = a.attcollation AND l.collname <> 'default'),
				CASE WHEN a.attnotnull THEN 'NOT NULL' END,
				(SELECT 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
					WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum)), ', ' ORDER BY a.attname), '')
			FROM pg_attribute a WHERE a.attrelid = own.oid AND a.attnum > 0 AND NOT a.attisdropped)
	FROM own WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
	UNION ALL
	SELECT 'row-level security', 'of all rows', relname::text,
		CASE WHEN relrowsecurity AND relforcerowsecurity THEN 'forced' WHEN relrowsecurity THEN 'not forced'
			ELSE 'off' END
	FROM own WHERE relkind IN ('r', 'p')
	UNION ALL
	SELECT 'index', i.relname::text, own.relname::text,
		replace(pg_get_indexdef(x.indexrelid), ' ON ' || quote_ident(current_schema()) || '.', ' ON ') ||
		CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END
	FROM pg_index x JOIN own ON own.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
	UNION ALL
	SELECT 'constraint', k.conname::text, own.relname::text, pg_get_constraintdef(k.oid)
	FROM pg_constraint k JOIN own ON own.oid = k.conrelid WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')
	UNION ALL
	SELECT 'policy', p.polname::text, own.relname::text, concat_ws(' ', p.polcmd::text,
		CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
		CASE WHEN p.polroles = '{0}' THEN 'for all' ELSE 'for some' END,
		'USING ' || regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g'),
		'CHECK ' || regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\s+', ' ', 'g'))
	FROM pg_policy p JOIN own ON own.oid = p.polrelid
	UNION ALL
	SELECT 'trigger', t.tgname::text, own.relname::text, ''
	FROM pg_trigger t JOIN own ON own.oid = t.tgrelid WHERE NOT t.tgisinternal
	UNION ALL
	SELECT 'rule', u.rulename::text, own.relname::text, ''
	FROM pg_rewrite u JOIN own ON own.oid = u.ev_class WHERE own.relkind IN ('r', 'p')
	UNION ALL
	SELECT 'function', p.proname::text, '', concat_ws(' ', pg_get_function_identity_arguments(p.oid), l.lanname,
		p.provolatile::text, CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' END, p.proconfig::text, md5(p.prosrc))
	FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
	WHERE p.pronamespace = current_schema()::regnamespace AND NOT EXISTS (
		SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')`

// expected are the objects that the migrations make.
func expected() map[string]object {
	found := map[string]object{}
	for line := range strings.Lines(described) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		o := object{fields[0], fields[1], fields[2], fields[3]}
		found[o.String()] = o
	}
	return found
}

// guarding are the kinds of objects that no version makes, or that keep tenants apart: a newer version of the tables
// has these as this one.
var guarding = []string{"trigger", "rule", "policy", "row-level security"}

// Foreign implements store.Archive. It names what the schema has that the migrations did not make, such as a trigger
// that changes what is written, and what they made and was changed or removed since. Of the tables of a newer version
// it knows only what guards them.
func (a *Archive) Foreign(ctx context.Context) (names []string, err error) {
	var have []object
	err = a.s.read(ctx, allTenants, func(r *reader) (err error) {
		have, err = all(r, scanObject, catalog)
		return err
	})
	if err != nil {
		return nil, err
	}
	want := expected()
	for _, o := range have {
		known, ok := want[o.String()]
		delete(want, o.String())
		switch {
		case known == o || a.newer && !slices.Contains(guarding, o.kind):
		case a.newer && !ok && o.table != "" && (o.kind == "policy" || o.kind == "row-level security"):
		case !ok:
			names = append(names, o.String()+", which Kontor did not make")
		default:
			names = append(names, o.String()+", which was changed")
		}
	}
	for name, o := range want {
		if !a.newer || slices.Contains(guarding, o.kind) {
			names = append(names, name+", which is missing")
		}
	}
	slices.Sort(names)
	return names, nil
}
