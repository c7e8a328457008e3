import { t } from "../i18n/index.ts";
import { duration } from "../lib/format.ts";
import { live } from "../stream.ts";
import { ThemeSwitch } from "./theme.tsx";

export function Footer() {
  const { status } = live.value;
  return (
    <footer class="foot">
      <span>
        {status ? `${t.app.name} ${status.build}` : t.app.name}
        {status && ` · ${t.gateway.uptime(duration(status.uptime_s))}`}
      </span>
      <ThemeSwitch name="theme-foot" />
    </footer>
  );
}
