import type { Cluster } from "../../api/answers";
import { useMay } from "../../frame/useMay";
import { go } from "../../location";
import { Ask } from "../../parts/Ask";
import { flags } from "../../parts/command";
import { Freeze } from "../../parts/Gates";
import { Window } from "../../parts/Window";
import { plural } from "../../words";

interface Props {
  cluster: Cluster;
  changed: () => void;
}

/** Actions are what may be done to a cluster, by who may do it. */
export function Actions({ cluster, changed }: Props) {
  const name = cluster.metadata.name;
  const mayBan = useMay("ban", "clusters", { cluster: name });
  const mayDelete = useMay("delete", "clusters", { cluster: name });
  const mayReconcile = useMay("reconcile", "assignments", { cluster: name });
  const mayEnrol = useMay("enroll", "clusters", { cluster: name });
  const banned = cluster.spec?.ban !== undefined;
  const bundles = plural(cluster.status.bundles?.total ?? 0, "bundle");
  const path = `/v1/clusters/${name}`;
  const version = cluster.metadata.resourceVersion;
  return (
    <div class="act">
      {mayEnrol && cluster.status.phase === "Enrolling" && (
        <a class="btn" href={`/enrol?name=${name}`}>
          New token
        </a>
      )}
      {mayReconcile && (
        <Ask label="Reconcile now" confirm="Reconcile now" method="POST" path="/v1/reconcile" body={{ cluster: name }} command={`yardarm reconcile cluster/${name}`} done={changed} told="asked for" touches={assignments}>
          <p>Its spoke compares all bundles with what is in the cluster at once, and tries again what failed.</p>
        </Ask>
      )}
      <Freeze about={{ cluster: name }} />
      <Window about={{ cluster: name }} />
      {mayBan && !banned && (
        <Ask label="Ban…" confirm={`Ban ${name}`} danger method="POST" path={`${path}:ban`} body={{ name, resourceVersion: version }} command={(reason) => `yardarm ban ${name}${flags({ reason })}`} reason="reason" done={changed}>
          <p>Its certificates are refused from now on, and its stream is cut within a second. What it runs, {bundles}, stays as it is, and nothing changes there any more.</p>
        </Ask>
      )}
      {mayBan && banned && (
        <Ask label="Unban…" confirm={`Unban ${name}`} method="POST" path={`${path}:unban`} body={{ name, resourceVersion: version }} command={`yardarm unban ${name}`} done={changed}>
          <p>Its spoke may connect again, and gets what is assigned to the cluster by then.</p>
        </Ask>
      )}
      {mayDelete && (
        <Ask
          label="Delete…"
          confirm={`Delete ${name}, keep its workloads`}
          danger
          method="DELETE"
          path={path}
          body={{ workloads: "WORKLOADS_KEEP", resourceVersion: version }}
          command={`yardarm delete cluster ${name} --keep`}
          done={() => go("/clusters")}
        >
          <p>The hub forgets the cluster, and its certificate counts no more. What it runs, {bundles}, stays there, unmanaged.</p>
          <p class="dim">
            To have the spoke remove them first, say <code>--remove</code> instead.
          </p>
        </Ask>
      )}
    </div>
  );
}

/** assignments says how many of them a reconciliation is about. */
function assignments(answer: unknown) {
  const n = (answer as { assignments?: string[] }).assignments?.length ?? 0;
  return <p class="ink">{plural(n, "assignment")}</p>;
}
