// The dashboard's only script. Pages work without it; with it graphs stay up to date, a record's form shows what its type
// has, and secrets can be copied by a button.

import Limits

enum Script {
    static let text = """
        'use strict';
        (() => {
          const all = (selector, place = document) => Array.from(place.querySelectorAll(selector));

          // Graphs: looked at again while somebody looks at them. A session that is over ends it.
          const live = all('[data-refresh]');
          const refresh = async () => {
            if (document.hidden) return true;
            for (const place of live) {
              const answer = await fetch(place.dataset.refresh, { headers: { accept: 'text/html' }, redirect: 'manual' });
              if (answer.type === 'opaqueredirect' || answer.status === 401 || answer.status === 403) return false;
              if (answer.ok && !place.contains(document.activeElement)) place.innerHTML = await answer.text();
            }
            return true;
          };
          const again = () => setTimeout(async () => {
            try { if (!(await refresh())) return; } catch (error) { /* the next look may succeed */ }
            again();
          }, \(Limits.dashboardRefreshSeconds * 1000));
          if (live.length) again();

          // A record's form: an example for its type, and only the fields that the type has.
          const type = document.querySelector('[data-record-type]');
          if (type) {
            const show = () => {
              const chosen = type.selectedOptions[0].dataset;
              const example = document.querySelector('[data-example]:not(option)');
              if (example) example.textContent = chosen.example || '';
              const priority = document.querySelector('[data-field=priority]');
              if (priority) priority.hidden = !('priority' in chosen);
              const proxied = document.getElementById('f-proxied');
              if (proxied) {
                proxied.closest('.field').hidden = !('proxied' in chosen);
                if (!('proxied' in chosen)) proxied.checked = false;
              }
            };
            type.addEventListener('change', show);
            show();
          }

          // Secrets: selected by one click, copied by another.
          for (const field of all('[data-select]')) field.addEventListener('focus', () => field.select());
          for (const button of all('[data-copy]')) {
            if (!navigator.clipboard) continue;
            button.hidden = false;
            button.addEventListener('click', async () => {
              await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
              button.textContent = 'Copied';
            });
          }

          // One click sends a form once.
          for (const form of all('form[method=post]')) {
            form.addEventListener('submit', () => {
              for (const button of all('button[type=submit]', form)) setTimeout(() => { button.disabled = true; });
            });
          }
          // Back in history brings the page back as it was left.
          addEventListener('pageshow', () => { for (const button of all('button:disabled')) button.disabled = false; });

          // The first field that is wrong is where to go on.
          const wrong = document.querySelector('[aria-invalid=true]');
          if (wrong) wrong.focus();
        })();

        """
}
