import { useQuery } from "../../api/query";
import type { Cluster as Resource } from "../../api/answers";
import { param } from "../../location";
import { Block } from "../../parts/Block";
import { quote, useCommand } from "../../parts/command";
import { Conditions } from "../../parts/Conditions";
import { Events } from "../../parts/Events";
import { StateWord } from "../../parts/Flag";
import { GatesOf } from "../../parts/Gates";
import { Problem } from "../../parts/Note";
import { Presence } from "../../parts/Presence";
import { Ago, At } from "../../parts/Time";
import { exact } from "../../time";
import { plural } from "../../words";
import { Actions } from "./Actions";
import { Bundles } from "./Bundles";
import { Facts } from "./Facts";
import { Labels } from "./Labels";

/** Cluster is all that is known of one: whether its spoke is there, how its bundles are, and what it says of itself. */
export function Cluster({ name }: { name: string }) {
  const bundle = param("bundle");
  useCommand(bundle ? `why ${name} ${quote(bundle)}` : `describe cluster ${name}`, name);
  const { data: c, error, again } = useQuery<Resource>(`/v1/clusters/${name}`, ["Cluster"]);
  if (!c) {
    return (
      <>
        <h1 class="title m">{name}</h1>
        {error && <Problem failure={error} />}
      </>
    );
  }
  const { status, spec } = c;
  return (
    <>
      <div class="head">
        <div>
          <h1>
            <span class="m">{name}</span> <StateWord state={status.state} />
          </h1>
          <p class="lead">
            {plural(status.bundles?.total ?? 0, "bundle")}, {status.groups?.length ? `in ${status.groups.join(", ")}` : "in no group"}
          </p>
        </div>
        <Actions cluster={c} changed={again} />
      </div>
      {error && <Problem failure={error} />}
      {spec?.ban && (
        <p class="msg">
          Banned {spec.ban.actor && `by ${spec.ban.actor} `}at <At time={spec.ban.time} />: {spec.ban.reason || "no reason given"}. Its certificates are refused.
        </p>
      )}
      {spec?.removal && (
        <p class="msg">
          Its end was asked for {spec.removal.actor && `by ${spec.removal.actor} `}at <At time={spec.removal.time} />; it waits for the spoke to remove the workloads.
        </p>
      )}
      <GatesOf about={{ cluster: name }} />
      <div class="cols wide">
        <div class="stack">
          <Bundles cluster={name} />
          <Block title="Events">
            <Events cluster={name} />
          </Block>
        </div>
        <div class="stack">
          <Block title="Presence">
            <dl class="facts two">
              <div>
                <dt>Spoke</dt>
                <dd>
                  <Presence cluster={c} />
                </dd>
              </div>
              <div>
                <dt>Last heard</dt>
                <dd>
                  {status.lastSeen ? (
                    <span>
                      <Ago time={status.lastSeen} /> ago
                    </span>
                  ) : (
                    "never"
                  )}
                </dd>
              </div>
              <div>
                <dt>What it reported</dt>
                <dd>{status.confirmed ? "is what it observes now" : "is not confirmed"}</dd>
              </div>
              <div>
                <dt>Certificate until</dt>
                <dd>{status.certificateExpiry ? <time dateTime={status.certificateExpiry}>{exact(status.certificateExpiry)}</time> : "none yet"}</dd>
              </div>
            </dl>
          </Block>
          {status.conditions && (
            <Block title="Conditions">
              <Conditions conditions={status.conditions} stale={status.state === "Stale"} />
            </Block>
          )}
          <Facts cluster={c} />
          <Labels cluster={c} changed={again} />
        </div>
      </div>
    </>
  );
}
