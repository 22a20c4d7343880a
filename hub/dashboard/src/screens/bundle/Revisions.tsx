import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Bundle, Page, Revision } from "../../api/answers";
import { useMay } from "../../frame/useMay";
import { param, withParam } from "../../location";
import { Ask } from "../../parts/Ask";
import { Block } from "../../parts/Block";
import { Problem } from "../../parts/Note";
import { Ago } from "../../parts/Time";
import { count, plural } from "../../words";
import { ArtifactDiff } from "./ArtifactDiff";

/** How many of the newest are shown. */
const shown = 20;

/** Revisions are what a bundle was and is, where each came from, and what differs between two. */
export function Revisions({ bundle, status, changed }: { bundle: string; status: Bundle["status"]; changed: () => void }) {
  const { data, error } = useQuery<Page & { revisions?: Revision[] }>(query(`/v1/bundles/${bundle}/revisions`, { pageSize: shown }), ["Bundle"]);
  const mayUndo = useMay("undo", "bundles", { bundle });
  const mayRead = useMay("get", "artifacts", { bundle });
  const all = data?.revisions ?? [];
  const open = Number(param("revision"));
  return (
    <Block title="Revisions" n={data && count(data.totalSize)}>
      {error && <Problem failure={error} />}
      <ul class="rows revs">
        {all.map((r, i) => {
          const { number, provenance: p, digest, objects } = r.spec;
          const before = all[i + 1];
          return (
            <li key={number}>
              <div class="rev">
                <span class="m ink">r{number}</span>
                <span class="st">{number === status.revision && <b>current</b>}</span>
                <span class="cut" title={p?.message}>
                  {p?.message}
                </span>
                <span class="dim cut">
                  {p?.actor} {p?.commit && <span class="m">{p.commit.slice(0, 10)}</span>} {p?.source}
                </span>
                <span class="m dim" title={digest}>
                  {digest.slice(7, 19)}
                </span>
                <span class="dim nowrap">
                  {plural(objects ?? 0, "object")}, <Ago time={p?.time ?? r.metadata.creationTimestamp} /> ago
                </span>
                <span class="acts">
                  {mayRead && before && (
                    <a class="link" href={withParam("revision", open === number ? "" : String(number))} aria-expanded={open === number}>
                      diff to r{before.spec.number}
                    </a>
                  )}
                  {mayUndo && number !== status.latestRevision && (
                    <Ask label="Return…" confirm={`Return to r${number}`} danger method="POST" path={`/v1/bundles/${bundle}:undo`} body={{ bundle, toRevision: number }} done={changed} touches={touches}>
                      <p>
                        A new revision with the content of r{number} is made, and goes through the clusters as any other.
                      </p>
                    </Ask>
                  )}
                </span>
              </div>
              {open === number && before && <ArtifactDiff from={before.spec.digest} to={digest} />}
            </li>
          );
        })}
      </ul>
    </Block>
  );
}

function touches(answer: unknown) {
  return <p class="ink">{plural((answer as { clusters?: number }).clusters ?? 0, "cluster")} are to run it.</p>;
}
