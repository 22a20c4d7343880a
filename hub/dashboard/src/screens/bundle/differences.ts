// What differs between two artifacts, which are one JSON object a line: object by object, field by field.

export interface Change {
  path: string;
  from: string | undefined;
  to: string | undefined;
}

export interface ObjectDiff {
  name: string;
  kind: "added" | "removed" | "changed";
  changes: Change[];
}

/** ObjectKind is the objects of one kind in an artifact, by name. */
export interface ObjectKind {
  kind: string;
  names: string[];
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

interface Manifest {
  apiVersion?: string;
  kind?: string;
  metadata?: { name?: string; namespace?: string };
}

export function differences(from: string, to: string): ObjectDiff[] {
  const before = byName(from);
  const after = byName(to);
  const out: ObjectDiff[] = [];
  for (const name of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const a = before.get(name);
    const b = after.get(name);
    const changes = compare(a ?? {}, b ?? {});
    if (changes.length > 0) out.push({ name, kind: a ? (b ? "changed" : "removed") : "added", changes: a && b ? changes : [] });
  }
  return out;
}

/** objectsOf are an artifact's objects by kind, those with the most first. */
export function objectsOf(artifact: string): ObjectKind[] {
  const kinds = new Map<string, string[]>();
  for (const object of byName(artifact).keys()) {
    const [kind = "", name = ""] = object.split(" ");
    kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  return [...kinds].map(([kind, names]) => ({ kind, names: names.sort() })).sort((a, b) => b.names.length - a.names.length || (a.kind < b.kind ? -1 : 1));
}

function byName(artifact: string): Map<string, Json> {
  const out = new Map<string, Json>();
  for (const line of artifact.split("\n")) {
    if (!line) continue;
    const object = JSON.parse(line) as Manifest;
    const { name = "", namespace } = object.metadata ?? {};
    out.set(`${object.apiVersion}/${object.kind} ${namespace ? `${namespace}/` : ""}${name}`, object as Json);
  }
  return out;
}

function compare(a: Json, b: Json): Change[] {
  const before = flatten(a);
  const after = flatten(b);
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => before.get(path) !== after.get(path))
    .map((path) => ({ path, from: before.get(path), to: after.get(path) }));
}

/** flatten is every value that is no container, by its path. */
function flatten(value: Json, path = "", out = new Map<string, string>()): Map<string, string> {
  if (Array.isArray(value)) value.forEach((v, i) => flatten(v, `${path}[${i}]`, out));
  else if (value !== null && typeof value === "object") for (const [k, v] of Object.entries(value)) flatten(v, path ? `${path}.${k}` : k, out);
  else out.set(path, JSON.stringify(value));
  return out;
}
