import { t } from "../i18n/index.ts";
import { duration } from "../lib/format.ts";
import { live } from "../stream.ts";
import { ThemeSwitch } from "./theme.tsx";

/** The gateway says its own name with its version; another program behind the same API may not. */
function buildText(build: string): string {
  const own = t.app.name.toLowerCase();
  return `${t.app.name} ${build.toLowerCase().startsWith(`${own} `) ? build.slice(own.length + 1) : build}`;
}

export function Footer() {
  const { status } = live.value;
  return (
    <footer class="foot">
      <span>
        {status ? buildText(status.build) : t.app.name}
        {status && ` · ${t.gateway.uptime(duration(status.uptime_s))}`}
      </span>
      <ThemeSwitch name="theme-foot" />
    </footer>
  );
}
