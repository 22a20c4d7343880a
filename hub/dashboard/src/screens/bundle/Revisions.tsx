import { useState } from "preact/hooks";
import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Bundle, Page, Revision } from "../../api/answers";
import { useMay } from "../../frame/useMay";
import { param, setParam, withParam } from "../../location";
import { Ask } from "../../parts/Ask";
import { Block } from "../../parts/Block";
import { Problem } from "../../parts/Note";
import { Ago } from "../../parts/Time";
import { count, plural, toRun } from "../../words";
import { ArtifactDiff } from "./ArtifactDiff";
import { brief, signerOf } from "./provenance";
import { changesOf, groupsOf, nameOf, objectsText } from "./variants";

/** How many of the newest are shown at first, and at most: what an answer may have. */
const few = 20;
const most = 1000;

/** Revisions are what a bundle was and is, where each came from, and what differs between two. */
export function Revisions({ bundle, status, changed }: { bundle: string; status: Bundle["status"]; changed: () => void }) {
  const [size, setSize] = useState(few);
  const { data, error } = useQuery<Page & { revisions?: Revision[] }>(query(`/v1/bundles/${bundle}/revisions`, { pageSize: size }), ["Bundle"]);
  const mayUndo = useMay("undo", "bundles", { bundle });
  const mayRead = useMay("get", "artifacts", { bundle });
  const all = data?.revisions ?? [];
  const open = Number(param("revision"));
  const against = Number(param("against"));
  return (
    <Block title="Revisions" n={data && count(data.totalSize)}>
      {error && <Problem failure={error} />}
      <ul class="rows revs">
        {all.map((r, i) => {
          const { number, provenance: p, digest, variants } = r.spec;
          const before = all[i + 1] ?? all[i - 1];
          const other = (against !== number && all.find((o) => o.spec.number === against)) || before;
          return (
            <li key={number}>
              <div class="rev">
                <span class="m ink">r{number}</span>
                <span class="st">{number === status.revision && <b>current</b>}</span>
                <span class="cut" title={p?.message}>
                  {p?.message}
                </span>
                <span class="from">
                  <span class="dim cut" title={[p?.actor, p?.commit ?? p?.digest, p?.ref, p?.source, p?.author, ...(p?.bases ?? [])].filter(Boolean).join(" ")}>
                    {p?.actor} {(p?.commit || p?.digest) && <span class="m">{brief(p.commit || p.digest || "")}</span>} {p?.ref} {p?.source}
                  </span>
                  {p?.signer && (
                    <span class="cut" title={p.signer}>
                      signed by {signerOf(p.signer).name}
                    </span>
                  )}
                </span>
                {variants?.length ? (
                  <span class="dim nowrap" title={variants.map((v) => `${nameOf(v.name)}: ${v.digest.slice(7, 19)} for ${groupsOf(r, v.name).join(", ") || "no group"}`).join("\n")}>
                    {plural(variants.length, "variant")}
                  </span>
                ) : (
                  <span class="m dim" title={digest}>
                    {digest.slice(7, 19)}
                  </span>
                )}
                <span class="dim nowrap">
                  {objectsText(r)}, <Ago time={p?.time ?? r.metadata.creationTimestamp} /> ago
                </span>
                <span class="acts">
                  {mayRead && before && (
                    <a class="link" href={withParam("revision", open === number ? "" : String(number))} aria-expanded={open === number}>
                      diff to r{before.spec.number}
                    </a>
                  )}
                  {mayUndo && number !== status.latestRevision && (
                    <Ask label="Return…" confirm={`Return to r${number}`} danger method="POST" path={`/v1/bundles/${bundle}:undo`} body={{ bundle, toRevision: number }} command={`yardarm rollout undo bundle/${bundle} --to-revision ${number}`} done={changed} touches={touches}>
                      <p>
                        A new revision with the content of r{number} is made, and goes through the clusters as any other.
                      </p>
                    </Ask>
                  )}
                </span>
              </div>
              {open === number && mayRead && other && (
                <>
                  <label class="against">
                    What r{number} has other than{" "}
                    <select class="field-in" value={other.spec.number} onChange={(e) => setParam("against", e.currentTarget.value)}>
                      {all.map(({ spec }) => spec.number !== number && <option key={spec.number} value={spec.number}>{`r${spec.number}${spec.provenance?.message ? `: ${spec.provenance.message}` : ""}`}</option>)}
                    </select>
                  </label>
                  <Differences before={other} after={r} />
                </>
              )}
            </li>
          );
        })}
      </ul>
      {data?.nextPageToken && size < most && (
        <button class="more link" onClick={() => setSize(Math.min(size * 4, most))}>
          older ones
        </button>
      )}
    </Block>
  );
}

/** Differences are those of each variant that changes. */
function Differences({ before, after }: { before: Revision; after: Revision }) {
  const varied = before.spec.variants?.length || after.spec.variants?.length;
  if (!varied) return <ArtifactDiff from={before.spec.digest} to={after.spec.digest} />;
  const changes = changesOf(before, after);
  if (changes.length === 0) return <p class="more">No object of any variant that both have differs.</p>;
  return (
    <>
      {changes.map(({ variant, from }) => (
        <div key={variant.name ?? ""}>
          <p class="more">{nameOf(variant.name)}</p>
          <ArtifactDiff from={from} to={variant.digest} />
        </div>
      ))}
    </>
  );
}

function touches(answer: unknown) {
  return <p class="ink">{toRun((answer as { clusters?: number }).clusters)}</p>;
}
