import type { Cluster } from "../api/answers";
import { wordOf } from "../words";
import { Ago, At } from "./Time";

/** Presence is whether a cluster's spoke is there, by the hub's clock, and since when. It says nothing of health. */
export function Presence({ cluster }: { cluster: Cluster }) {
  const { presence, presenceSince, lastSeen } = cluster.status;
  switch (presence) {
    case "Connected":
      return (
        <span>
          connected{" "}
          <span class="dim">
            <Ago time={presenceSince} />
          </span>
        </span>
      );
    case "Stale":
      return (
        <span class="t-stale">
          stale since <At time={lastSeen ?? presenceSince} />
        </span>
      );
    case "Unknown":
      return <span class="t-stale">awaited since the hub's start</span>;
    default:
      return <span class="dim">{wordOf(presence)}</span>;
  }
}
