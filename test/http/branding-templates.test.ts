import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createViews } from '../../src/views/index.ts'
import { type BrandingFolder, createBrandingFolder } from '../support/branding.ts'

let folder: BrandingFolder

beforeAll(async () => {
  folder = await createBrandingFolder()
})
afterEach(() => folder.remove('templates'))
afterAll(() => folder.close())

const section = { templates_folder: 'templates' }

/** What is wrong with these templates, by name and source. */
async function wrong(templates: Record<string, string>): Promise<string[]> {
  for (const [name, source] of Object.entries(templates)) await folder.put(`templates/${name}`, source)
  return folder.problems(section)
}

/** The sign-out page made with these templates. */
async function page(templates: Record<string, string>, log?: Parameters<typeof createViews>[0]['log']) {
  for (const [name, source] of Object.entries(templates)) await folder.put(`templates/${name}`, source)
  const views = createViews({ branding: await folder.load(section), basePath: '/', log })
  return views.render('signed-out', {}, { locale: 'en', path: '/sign-out', cspNonce: 'bm9uY2U' })
}

const SIGN_IN = `{% extends "layouts/narrow.njk" %}
{% from "partials/form-start.njk" import formStart %}
{% set title = 'Ahoy' %}
{% block content %}
<h1>{{ title }}</h1>
{% if refused %}{{ words(refused) }}{% endif %}
<form method="post" action="{{ form.action }}">
  {{ formStart(form) }}
  <label>Name <input name="username" value="{{ (reauthenticateAs.mxid if reauthenticateAs else username) or '' }}"></label>
  <label>Password <input name="password" type="password"></label>
  <button name="action" value="cancel">No</button>
  <button name="action" value="switch">Another</button>
  <button>Go</button>
</form>
{% if client %}{{ appName(client) }}{% endif %}
{% endblock %}`

describe('templates of the operator', () => {
  it('go over ours, reach ours by their name, and include others of their own', async () => {
    const html = await page({
      'layouts/narrow.njk':
        '{% extends "postern/layouts/narrow.njk" %}{% block footer %}{% include "own/help.njk" %}{{ super() }}{% endblock %}',
      'own/help.njk': '<p class="small-print">Ask the harbour master</p>',
      'pages/signed-out.njk':
        '{% extends "postern/pages/signed-out.njk" %}{% block content %}{{ super() }}<p>Ahoy</p>{% endblock %}',
    })
    for (const words of ['Ask the harbour master', 'You are signed out', '<p>Ahoy</p>'])
      expect(html).toContain(words)
  })

  it('may be a page from scratch that sends what ours sends', async () => {
    expect(await wrong({ 'pages/sign-in.njk': SIGN_IN })).toEqual([])
  })

  it('may have styles and scripts of their own with the nonce of the policy', async () => {
    const head = '<style nonce="{{ cspNonce }}">h1 { color: red }</style>'
    const html = await page({
      'layouts/base.njk': `{% extends "postern/layouts/base.njk" %}{% block head %}${head}{% endblock %}`,
    })
    expect(html).toContain('<style nonce="bm9uY2U">')
  })
})

describe('found when they are loaded, with file and line', () => {
  it('a syntax error', async () => {
    expect(await wrong({ 'pages/error.njk': '<p>\n{% if %}\n' })).toEqual([
      'templates/pages/error.njk:2: unexpected token: %}',
    ])
  })

  it('a template that there is not, with the one that was meant', async () => {
    const problems = await wrong({
      'pages/error.njk': '{% extends "layouts/narow.njk" %}\n{% from "button.njk" import button %}',
    })
    expect(problems).toEqual([
      'templates/pages/error.njk:1: asks for "layouts/narow.njk", which there is not; did you mean "layouts/narrow.njk"?',
      'templates/pages/error.njk:2: asks for "button.njk", which there is not; did you mean "partials/button.njk"?',
    ])
  })

  it('a filter that there is not', async () => {
    expect(await wrong({ 'pages/error.njk': '\n\n{{ heading | cleen }}' })).toEqual([
      'templates/pages/error.njk:3: uses the filter "cleen", which there is not; did you mean "clean"?',
    ])
  })

  it('something that a page is not given, where it is used', async () => {
    const source =
      '{% extends "postern/pages/signed-out.njk" %}\n{% block content %}\n{{ super() }}\n{{ userName }}\n{% endblock %}'
    expect(await wrong({ 'pages/signed-out.njk': source })).toEqual([
      'templates/pages/signed-out.njk:4: shows something that there is not; write {% if … %} around it, or check its name (on the page signed-out, plain)',
    ])
  })

  it('a page without a title, and a macro that fails, where that happens', async () => {
    const untitled = '{% extends "layouts/narrow.njk" %}{% block content %}<h1>x</h1>{% endblock %}'
    expect((await wrong({ 'pages/signed-out.njk': untitled }))[0]).toMatch(
      /\/layouts\/base\.njk:8: shows something that there is not; .+ \(on the page signed-out, plain\)$/,
    )
    const footer = '{% macro footer() %}\n\n{{ brand.imprintUrl }}\n{% endmacro %}'
    await folder.remove('templates')
    expect((await wrong({ 'partials/footer.njk': footer }))[0]).toMatch(
      /^templates\/partials\/footer\.njk:3: /,
    )
  })

  it('a text that there is not', async () => {
    const source = `{% extends "postern/pages/signed-out.njk" %}\n{% block content %}\n\n{{ t('signed_out.messge') }}{% endblock %}`
    const [problem, ...others] = await wrong({ 'pages/signed-out.njk': source })
    expect(problem).toMatch(/^templates\/pages\/signed-out\.njk:4: No text for "signed_out\.messge" in en/)
    expect(others).toEqual([expect.stringContaining('in de')])
  })

  it('a form without its token', async () => {
    const source = SIGN_IN.replace('  {{ formStart(form) }}\n', '')
    expect(await wrong({ 'pages/sign-in.njk': source })).toContain(
      'templates/pages/sign-in.njk:7: lacks the hidden field "csrf"; write {{ formStart(form) }} into the form (on the page sign-in, plain)',
    )
  })

  it('a form without one of its fields or buttons', async () => {
    const source = SIGN_IN.replace('type="password"', 'type="text"').replace(
      'value="switch"',
      'value="other"',
    )
    const problems = (await wrong({ 'pages/sign-in.njk': source })).join('\n')
    expect(problems).toContain('pages/sign-in.njk:7: lacks the field password (password) in the form')
    expect(problems).toContain(
      'lacks the field or button action=switch in the form; write it as ours has it (on the page sign-in, again)',
    )
  })

  it('a form that is gone', async () => {
    const source = SIGN_IN.replace('method="post"', 'method="get"')
    expect((await wrong({ 'pages/sign-in.njk': source }))[0]).toMatch(
      /^templates\/pages\/sign-in\.njk:7: lacks the form that is posted to \/sign-in/,
    )
  })

  it('a part that takes the token from every form', async () => {
    const problems = await wrong({ 'partials/form-start.njk': '{% macro formStart(form) %}{% endmacro %}' })
    expect(problems[0]).toMatch(/^templates\/partials\/form-start\.njk:1: lacks the hidden field "csrf"/)
  })

  it('a consent page that hides who asks and where it leads', async () => {
    const card =
      '{% macro appCard(client) %}{{ client.name | clean }}{% endmacro %}{% macro appLinks(client) %}{% endmacro %}'
    const problems = (await wrong({ 'partials/app-card.njk': card })).join('\n')
    expect(problems).toContain('partials/app-card.njk:1: does not show "element.io", by which people know')
  })

  it('what the policy of the pages refuses', async () => {
    const problems = await wrong({
      'pages/signed-out.njk': `{% extends "postern/pages/signed-out.njk" %}
{% block content %}{{ super() }}
<p style="color: red">x</p>
<button onclick="go()">x</button>
<script>alert(1)</script>
<iframe src="https://elsewhere.example/"></iframe>
<img src="https://elsewhere.example/x.png" alt="">
<a href="javascript:alert(1)">x</a>
{% endblock %}`,
    })
    expect(problems.map((problem) => problem.split(';')[0])).toEqual([
      `templates/pages/signed-out.njk:3: has the attribute style="…", which the pages' security policy refuses`,
      `templates/pages/signed-out.njk:4: has the attribute onclick="…", which the pages' security policy refuses`,
      `templates/pages/signed-out.njk:5: has <script> without a nonce, which the pages' security policy refuses`,
      `templates/pages/signed-out.njk:6: has <iframe>, which the pages' security policy refuses`,
      'templates/pages/signed-out.njk:8: has a script in href="…"',
      "templates/pages/signed-out.njk:7: has a picture from elsewhere (https://elsewhere.example/x.png), which the pages' security policy refuses",
    ])
  })

  it('names that match nothing of ours, with the one that was meant', async () => {
    const problems = await wrong({
      'pages/signin.njk': 'x',
      'narrow.njk': 'x',
      'readme.txt': 'x',
      '.hidden': 'x',
      'pages/error.njk~': 'x',
    })
    expect(problems).toEqual([
      'templates/readme.txt: is no template; name it *.njk, or remove it',
      'templates/narrow.njk:1: is no page or part of ours, and nothing asks for it; did you mean "layouts/narrow.njk"?',
      'templates/pages/signin.njk:1: is no page or part of ours, and nothing asks for it; did you mean "pages/sign-in.njk"?',
    ])
  })

  it('a folder that is not there', async () => {
    expect(await folder.problems(section)).toEqual([
      expect.stringMatching(
        /^postern\.yaml:2: branding\.templates_folder: names \S+, which cannot be read \(ENOENT\); write the path of a folder/,
      ),
    ])
  })
})

describe('templates cannot get out', () => {
  it.each([
    `{{ ''.constructor.constructor('return process')() }}`,
    `{{ range.constructor('return process')() }}`,
    `{{ ['x']['constr' ~ 'uctor'] }}`,
    `{{ constructor }}`,
    `{{ __proto__ }}`,
    `{{ links['__pro' ~ 'to__'] }}`,
    `{{ 'x' | valueOf }}`,
    `{{ 'x' | constructor }}`,
    `{{ cycler('a').next['constr' ~ 'uctor'] }}`,
    `{{ [[links]] | groupby('constructor.constructor') | dump }}`,
  ])('to the process: %s', async (source) => {
    const problems = await wrong({
      'pages/signed-out.njk': `{% extends "postern/pages/signed-out.njk" %}{% block content %}${source}{% endblock %}`,
    })
    expect(problems.join('\n')).toMatch(/may not use|leads out|which there is not|resolved to undefined/)
  })

  it('to what other pages are made from', async () => {
    const source = (change: string) =>
      `{% extends "postern/pages/account.njk" %}{% block content %}{{ super() }}{{ ${change} }}{% endblock %}`
    for (const change of ['sessions.push(1)', 'user.createdAt.setTime(0)'])
      expect((await wrong({ 'pages/account.njk': source(change) }))[0], change).toContain('Unable to call')
    const harmless = "sessions.slice(0).length ~ user.mxid.split(':')[0]"
    expect(await wrong({ 'pages/account.njk': source(harmless) })).toEqual([])
  })

  it.each([
    '../postern.yaml',
    '/etc/passwd',
    './../../etc/passwd',
    'pages/../../secret.njk',
    '\\\\etc\\\\passwd',
  ])('to other files: %s', async (name) => {
    await folder.put('secret.njk', 'a secret')
    const direct = await wrong({ 'pages/signed-out.njk': `{% include "${name}" %}` })
    expect(direct[0]).toContain('which there is not')
    const hidden = await wrong({ 'pages/signed-out.njk': `{% set a = "${name}" %}{% include a %}` })
    expect(hidden[0]).toContain('template not found')
  })

  it('by links, but for those that stay in the folder', async () => {
    await folder.put('secret.njk', 'a secret')
    await folder.put('templates/..data/help.njk', 'Help')
    await folder.link('templates/own/help.njk', '../..data/help.njk')
    await folder.link('templates/pages/signed-out.njk', '../../secret.njk')
    await folder.link('templates/all', '..')
    await folder.link('templates/gone.njk', 'nowhere')
    const problems = await wrong({
      'pages/error.njk':
        '{% extends "postern/pages/error.njk" %}{% block footer %}{% include "own/help.njk" %}{% endblock %}',
    })
    expect(problems).toEqual([
      'templates/all: is a link that leaves the folder; put a copy of the file in its place',
      'templates/gone.njk: cannot be read (ENOENT); remove it, or mend where it leads',
      'templates/pages/signed-out.njk: is a link that leaves the folder; put a copy of the file in its place',
    ])
  })

  it('of the escaping', async () => {
    const block = (source: string) =>
      `{% extends "postern/pages/consent.njk" %}{% block content %}{{ super() }}\n{% if client.name %}${source}{% endif %}{% endblock %}`
    expect(await wrong({ 'pages/consent.njk': block('{{ client.name | safe }}') })).toEqual([
      'templates/pages/consent.njk:2: uses the filter "safe", which would let through what others typed; leave it out',
    ])
    for (const source of [
      `{{ client.name | escape | replace('&lt;', '<') | replace('&gt;', '>') }}`,
      `{% macro m(a) %}{{ a }}{% endmacro %}{{ m(client.name) | replace('&lt;', '<') | replace('&gt;', '>') }}`,
      `{% set a %}{{ client.name }}{% endset %}{{ a }}`,
    ]) {
      await folder.put('templates/pages/consent.njk', block(source))
      const views = createViews({ branding: await folder.load(section), basePath: '/' })
      const html = views.render(
        'consent',
        {
          form: { action: '/x', csrf: 'x' },
          user: { mxid: '@a:b' },
          scopes: [],
          client: { name: '<img src=x>', host: 'app.example', verified: false },
        },
        { locale: 'en', path: '/' },
      )
      expect(html, source).not.toContain('<img src=x>')
    }
  })
})

describe('a template of the operator that fails on a page all the same', () => {
  const source = `{% extends "postern/pages/signed-out.njk" %}{% block content %}{{ super() }}{% if not signInUrl %}{{ nothing }}{% endif %}{% endblock %}`

  it('gives way to ours, and the log tells', async () => {
    const logged: unknown[] = []
    const log = { error: (...entry: unknown[]) => logged.push(entry) } as never
    const html = await page({ 'pages/signed-out.njk': source }, log)
    expect(html).toContain('You are signed out')
    expect(logged).toEqual([[expect.objectContaining({ page: 'signed-out' }), 'page.own_template_failed']])
  })
})
