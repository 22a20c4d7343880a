// Filters in the grammar of the API's lists: terms with commas between, as in presence=stale,group in (a,b).

/** terms splits a filter; commas in parentheses do not count. */
export function terms(filter: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let term = "";
  for (const c of filter) {
    if (c === "(") depth++;
    if (c === ")") depth--;
    if (c === "," && depth === 0) {
      out.push(term);
      term = "";
    } else term += c;
  }
  out.push(term);
  return out.map((t) => t.trim()).filter(Boolean);
}

/** understand makes a filter of what somebody typed: a word alone is part of a field, mostly the name. */
export function understand(text: string, field = "name"): string {
  return terms(text)
    .map((t) => (/^[\w.*/-]+$/.test(t) && !t.includes("=") ? `${field}=*${t.replaceAll("*", "")}*` : t))
    .join(",");
}

/** chosen are the values of a key that a filter asks for. */
export function chosen(filter: string, key: string): string[] {
  return terms(filter).flatMap((t) => valuesOf(t, key) ?? []);
}

/** toggle adds a value of a key, or takes it away. */
export function toggle(filter: string, key: string, value: string): string {
  const values = chosen(filter, key);
  const others = terms(filter).filter((t) => valuesOf(t, key) === undefined);
  const next = values.includes(value) ? values.filter((v) => v !== value) : [...values, value];
  if (next.length === 1) others.push(`${key}=${next[0]}`);
  if (next.length > 1) others.push(`${key} in (${next.sort().join(",")})`);
  return others.join(",");
}

/** both is a filter of two. */
export const both = (a: string, b: string): string => [a, b].filter(Boolean).join(",");

function valuesOf(term: string, key: string): string[] | undefined {
  if (term.startsWith(`${key}=`)) return [term.slice(key.length + 1)];
  if (term.startsWith(`${key} in (`) && term.endsWith(")")) return term.slice(key.length + 5, -1).split(",").map((v) => v.trim());
  return undefined;
}
