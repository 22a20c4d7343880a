import { useMay } from "../frame/useMay";
import { go, param, place } from "../location";
import { flags, useCommand } from "../parts/command";
import { Events } from "../parts/Events";
import { Filter } from "../parts/Filter";
import { Audit } from "./Audit";
import { Notifications } from "./Notifications";

/** How many events are shown. */
const tail = 200;

/** What is shown, by what the URL says of it: the path with the parameters that belong to it. */
const views = { "/activity": "All", "/activity?filter=type%3DWarning": "Warnings", "/activity?of=changes&filter=actor%21%3Dhub": "Changes", "/activity?of=changes&filter=kind%3DDenial": "Denied" };

/** Activity is what has happened, and for those who may know, who has changed what and who was denied it. */
export function Activity() {
  const filter = param("filter");
  const mayAudit = useMay("get", "audit");
  const changes = param("of") === "changes";
  useCommand(changes ? `audit --follow${flags({ filter })}` : `events --watch${flags({ filter })}`, "Activity");
  const here = place.value.path + (place.value.search.size ? `?${place.value.search.toString()}` : "");
  return (
    <>
      <div class="head">
        <h1>Activity</h1>
        <div class="act">
          <div class="seg-ctl" role="group" aria-label="What is shown">
            {Object.entries(views).map(([href, title]) =>
              href.includes("of=") && !mayAudit ? null : (
                <button key={href} aria-pressed={here === href} onClick={() => go(href)}>
                  {title}
                </button>
              ),
            )}
          </div>
        </div>
      </div>
      <Notifications />
      {changes ? (
        <Audit filter={filter} />
      ) : (
        <section class="hung" aria-label="Events">
          <div class="above">
            <Filter filter={filter} hint="Filter: reason=Bundle*, cluster=edge-1, bundle=web, actor=token/ci" bare="message" />
          </div>
          <Events filter={filter} tail={tail} />
        </section>
      )}
    </>
  );
}
