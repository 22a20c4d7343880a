import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import { session } from "../../api/session";
import type { Role, RoleBinding } from "../../api/answers";
import { Block } from "../../parts/Block";
import { useCommand } from "../../parts/command";
import { Problem } from "../../parts/Note";
import { useMay } from "../../frame/useMay";
import { count } from "../../words";
import { Credentials } from "./Credentials";
import { scopeText } from "./scope";
import { Tokens } from "./Tokens";

/** Access is who may do what. */
export function Access() {
  useCommand("get tokens,roles,rolebindings,sourcecredentials", "Access");
  const who = session.value.state === "signed in" ? session.value.who : undefined;
  const mayTokens = useMay("get", "tokens");
  const mayRoles = useMay("get", "roles");
  const mayBindings = useMay("get", "rolebindings");
  const roles = useQuery<{ roles?: Role[] }>(mayRoles ? "/v1/roles" : "");
  const bindings = useQuery<{ roleBindings?: RoleBinding[] }>(mayBindings ? query("/v1/rolebindings", { pageSize: 500 }) : "");
  return (
    <>
      <div class="head">
        <div>
          <h1>Access</h1>
          <p class="lead">
            You are <span class="m ink">{who?.actor}</span>
            {who?.roleBindings?.length ? `, by ${who.roleBindings.map((b) => `${b.metadata.name} (${b.spec.role}${limits(b)})`).join(", ")}` : ""}.
          </p>
        </div>
      </div>
      {mayTokens && <Tokens roles={roles.data?.roles?.map((r) => r.metadata.name) ?? []} />}
      <div class="cols two">
        {mayBindings && (
          <Block title="Role bindings" n={bindings.data && count(bindings.data.roleBindings?.length)}>
            {bindings.error && <Problem failure={bindings.error} />}
            <ul class="rows grants">
              {bindings.data?.roleBindings?.map((b) => (
                <li key={b.metadata.name}>
                  <p>
                    <span class="m ink">{b.metadata.name}</span> gives <b>{b.spec.role}</b> to{" "}
                    <span class="m">{b.spec.subjects?.map((s) => `${s.kind.toLowerCase()}/${s.name}`).join(", ") || "nobody"}</span>
                  </p>
                  <p class="dim">
                    {scopeText("bundles", b.spec.bundles, "all bundles")}, {scopeText("cluster groups", b.spec.clusterGroups, "all cluster groups")}
                  </p>
                </li>
              ))}
            </ul>
            {bindings.data && !bindings.data.roleBindings?.length && <p class="more">Nobody has a role yet. A token that is made has one, and so has whoever a RoleBinding names.</p>}
          </Block>
        )}
        {mayRoles && (
          <Block title="Roles" n={roles.data && count(roles.data.roles?.length)}>
            {roles.error && <Problem failure={roles.error} />}
            <ul class="rows grants">
              {roles.data?.roles?.map((r) => (
                <li key={r.metadata.name}>
                  <p>
                    <span class="m ink">{r.metadata.name}</span> {r.spec?.description}
                  </p>
                  <p class="dim">{r.spec?.rules?.map((rule) => `${all(rule.verbs, "do anything to")} ${all(rule.resources, "everything")}`).join("; ")}</p>
                </li>
              ))}
            </ul>
          </Block>
        )}
      </div>
      <Credentials />
      {!mayTokens && !mayRoles && !mayBindings && <p>What others may do is not for you to see.</p>}
    </>
  );
}

const all = (words: string[], every: string) => (words.includes("*") ? every : words.join(", "));

/** limits are what a binding is for, where that is not everything. */
const limits = ({ spec }: RoleBinding): string => {
  const scopes = [scopeText("bundles", spec.bundles, ""), scopeText("cluster groups", spec.clusterGroups, "")].filter(Boolean);
  return scopes.length > 0 ? `: ${scopes.join(", ")}` : "";
};
