import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Bundle as Resource, Cause, Problems } from "../../api/answers";
import { useMay } from "../../frame/useMay";
import { go } from "../../location";
import { Ask } from "../../parts/Ask";
import { Bar } from "../../parts/Bar";
import { Block } from "../../parts/Block";
import { useCommand } from "../../parts/command";
import { Events } from "../../parts/Events";
import { Freeze, GatesOf } from "../../parts/Gates";
import { Problem } from "../../parts/Note";
import { Window } from "../../parts/Window";
import { count, flagOf, partsOf, plural, revisionOf, saidOf, wordOf } from "../../words";
import { Matrix } from "./Matrix";
import { Objects } from "./Objects";
import { Revisions } from "./Revisions";
import { RolloutBlock } from "./RolloutBlock";
import { Source } from "./Source";

/** Bundle is one bundle: where it is, how it goes there, and what it was before. */
export function Bundle({ name }: { name: string }) {
  useCommand(`describe bundle ${name}`, name);
  const { data: b, error, again } = useQuery<Resource>(`/v1/bundles/${name}`, ["Bundle", "Cluster"]);
  const mayReconcile = useMay("reconcile", "assignments", { bundle: name });
  const mayDelete = useMay("delete", "bundles", { bundle: name });
  if (!b) {
    return (
      <>
        <h1 class="title m">{name}</h1>
        {error && <Problem failure={error} />}
      </>
    );
  }
  const counts = b.status.clusters;
  // Where none has come to its end yet, what is on its way.
  const latest = b.status.revision || b.status.latestRevision;
  return (
    <>
      <div class="head">
        <div>
          <h1>
            <span class="m">{name}</span> <span class="m dim">{revisionOf(b.status)}</span>
          </h1>
          <p class="lead">
            {count(counts?.ready)} of {plural(counts?.total ?? 0, "cluster")} ready
          </p>
        </div>
        <div class="act">
          {mayReconcile && (
            <Ask label="Reconcile now" confirm="Reconcile now" method="POST" path="/v1/reconcile" body={{ bundle: name }} command={`yardarm reconcile bundle/${name}`} done={again} told="asked for" touches={touches}>
              <p>Every spoke compares {name} with what is in its cluster at once, and tries again what failed.</p>
            </Ask>
          )}
          <Freeze about={{ bundle: name }} />
          <Window about={{ bundle: name }} />
          {mayDelete && (
            <Ask
              label="Delete…"
              confirm={`Delete ${name}, keep its workloads`}
              danger
              method="DELETE"
              path={`/v1/bundles/${name}`}
              body={{ workloads: "WORKLOADS_KEEP", resourceVersion: b.metadata.resourceVersion }}
              command={`yardarm delete bundle ${name} --keep`}
              done={() => go("/bundles")}
            >
              <p>
                It leaves {plural(counts?.total ?? 0, "cluster")}: {b.spec?.targets?.map((t) => t.group).join(", ") || "no group"}. Its objects stay there, unmanaged.
              </p>
              <p class="dim">
                To have them removed, say <code>--remove</code> instead.
              </p>
            </Ask>
          )}
        </div>
      </div>
      {error && <Problem failure={error} />}
      <Bar parts={partsOf(counts)} className="yardbar" />
      <GatesOf about={{ bundle: name }} />
      <Source bundle={b} />
      <RolloutBlock bundle={name} />
      <div class="cols two">
        <Matrix bundle={b} />
        <Causes bundle={name} />
      </div>
      {latest && <Objects bundle={name} revision={latest} />}
      <Revisions bundle={name} status={b.status} changed={again} />
      <Block title="Events">
        <Events bundle={name} />
      </Block>
    </>
  );
}

/** Causes are why it fails where it does. */
function Causes({ bundle }: { bundle: string }) {
  const { data, error } = useQuery<Problems>(query("/v1/problems", { bundle, limit: 5, examples: 1 }), ["Cluster"]);
  return (
    <Block title="Problems" n={data && count(data.totalSize)} act={<a class="link" href={query("/problems", { filter: `bundle=${bundle}` })}>all</a>}>
      {error && <Problem failure={error} />}
      <ul class="rows pr">
        {data?.problems?.map((p: Cause) => (
          <li key={[p.phase, p.reason, p.kind, p.message].join()}>
            <span class={`big t-${flagOf(p.phase)}`}>
              <i class={`fl ${flagOf(p.phase)}`} />
              {count(p.clusters)} <span class="sr">{wordOf(p.phase)}</span>
            </span>
            <div>
              <p class="cause cut" title={saidOf(p)}>
                {saidOf(p)}
              </p>
              <p class="dim cut" title={[p.reason, p.kind, p.examples?.[0]?.cluster].filter(Boolean).join(" ")}>
                {p.reason} {p.kind} {p.examples?.[0] && <a class="link m" href={`/clusters/${p.examples[0].cluster}?bundle=${bundle}`}>{p.examples[0].cluster}</a>}
              </p>
            </div>
          </li>
        ))}
      </ul>
      {data && !data.problems?.length && <p class="more">It fails nowhere.</p>}
    </Block>
  );
}

function touches(answer: unknown) {
  return <p class="ink">{plural((answer as { assignments?: string[] }).assignments?.length ?? 0, "cluster")}</p>;
}
