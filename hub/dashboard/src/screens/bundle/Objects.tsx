import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Revision } from "../../api/answers";
import { Failure } from "../../api/client";
import { useQuery } from "../../api/query";
import { useMay } from "../../frame/useMay";
import { param, withParam } from "../../location";
import { Block } from "../../parts/Block";
import { Problem } from "../../parts/Note";
import { count, plural } from "../../words";
import { artifact } from "./artifact";
import { objectsOf, type ObjectKind } from "./differences";
import { artifactsOf, groupsOf, nameOf } from "./variants";

/** How many names of a kind are shown; more are counted. */
const shown = 12;

/** Objects are what a bundle's revision consists of, by kind, of one of its variants. Who may not read artifacts sees none. */
export function Objects({ bundle, revision }: { bundle: string; revision: number }) {
  const { data, error } = useQuery<Revision>(`/v1/bundles/${bundle}/revisions/${revision}`, ["Bundle"]);
  if (!data) return error ? <Problem failure={error} /> : null;
  const all = artifactsOf(data);
  const chosen = all.find((v) => v.name === param("variant")) ?? all[0];
  if (!chosen) return null;
  return (
    <ObjectsOf bundle={bundle} digest={chosen.digest}>
      {all.length > 1 && (
        <ul class="rows variants" aria-label="Variants">
          {all.map((v) => {
            const groups = groupsOf(data, v.name).join(", ");
            return (
              <li key={v.name ?? ""}>
                <a class="link cut" href={withParam("variant", v.name ?? "")} aria-current={v === chosen ? "true" : undefined} title={nameOf(v.name)}>
                  {v === chosen ? <b>{nameOf(v.name)}</b> : nameOf(v.name)}
                </a>
                <span class="m dim" title={v.digest}>
                  {v.digest.slice(7, 19)}
                </span>
                <span class="nowrap">{plural(v.objects ?? 0, "object")}</span>
                <span class="cut" title={groups}>
                  {groups ? <>for <span class="m">{groups}</span></> : <span class="dim">for no group</span>}
                </span>
              </li>
            );
          })}
        </ul>
      )}
    </ObjectsOf>
  );
}

function ObjectsOf({ bundle, digest, children }: { bundle: string; digest: string; children: ComponentChildren }) {
  const mayRead = useMay("get", "artifacts", { bundle });
  const [kinds, setKinds] = useState<ObjectKind[] | undefined>();
  const [failure, setFailure] = useState<Failure | undefined>();
  useEffect(() => {
    if (!mayRead) return;
    const end = new AbortController();
    artifact(digest, end.signal)
      .then((text) => (setKinds(objectsOf(text)), setFailure(undefined)))
      .catch((e: unknown) => {
        if (!end.signal.aborted && e instanceof Failure) setFailure(e);
      });
    return () => end.abort();
  }, [digest, mayRead]);
  if (!mayRead) return null;
  const total = kinds?.reduce((sum, k) => sum + k.names.length, 0);
  return (
    <Block title="Objects" n={kinds && count(total)}>
      {failure && <Problem failure={failure} />}
      {children}
      <ul class="rows objects">
        {kinds?.map((k) => (
          <li key={k.kind}>
            <span class="m ink cut" title={k.kind}>
              {k.kind}
            </span>
            <span class="num">{count(k.names.length)}</span>
            <span class="m names">
              {k.names.slice(0, shown).join(", ")}
              {k.names.length > shown && <span class="dim"> and {count(k.names.length - shown)} more</span>}
            </span>
          </li>
        ))}
      </ul>
    </Block>
  );
}
