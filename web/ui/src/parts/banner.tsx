// Says when what is shown is not of now.

import { t } from "../i18n/index.ts";
import { duration, moment } from "../lib/format.ts";
import { live, pausedForS, setStopped, stopped } from "../stream.ts";
import { Icon } from "./icons.tsx";

function Frozen() {
  const { at } = live.value;
  return at === null ? null : <span>{t.live.frozen(moment(at, at))}</span>;
}

export function LiveBanner() {
  if (live.value.newBuild) {
    return (
      <div class="banner" role="status">
        <strong>{t.app.newBuild}</strong>
        <button type="button" class="button" onClick={() => location.reload()}>
          {t.app.reload}
        </button>
      </div>
    );
  }
  if (stopped.value) {
    return (
      <div class="banner" role="status">
        <Icon name="pause" />
        <strong>{t.live.byYou}</strong>
        <Frozen />
        <button type="button" class="button" onClick={() => setStopped(false)}>
          {t.live.resume}
        </button>
      </div>
    );
  }
  const seconds = pausedForS.value;
  if (seconds === null) return null;
  // Announced once: the seconds that follow are for the eye.
  return (
    <div class="banner banner-lost">
      <Icon name="pause" />
      <span class="visually-hidden" role="alert">
        {t.live.lost}
      </span>
      <strong aria-hidden="true">{live.value.receivedMs === null ? t.live.connecting : t.live.paused(duration(seconds))}</strong>
      <Frozen />
    </div>
  );
}
