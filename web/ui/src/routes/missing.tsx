import { t } from "../i18n/index.ts";
import { Empty } from "../parts/common.tsx";

export function MissingPage({ path }: { path: string }) {
  return (
    <div class="page">
      <h1 class="visually-hidden">{t.app.notFound}</h1>
      <Empty title={t.app.notFound} hint={t.app.notFoundHint}>
        <p>
          <code>{path}</code>
        </p>
        <a class="button" href="/">
          {t.app.toOverview}
        </a>
      </Empty>
    </div>
  );
}
