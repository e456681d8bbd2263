// Everything here is a comfort: each page does its work without it.
{
  // Show and hide a password.
  for (const button of document.querySelectorAll('[data-toggle]')) {
    const input = document.getElementById(button.dataset.toggle)
    const show = (visible) => {
      input.type = visible ? 'text' : 'password'
      input.autocapitalize = 'none'
      button.textContent = visible ? button.dataset.hide : button.dataset.show
      button.setAttribute('aria-label', visible ? button.dataset.hideLabel : button.dataset.showLabel)
    }
    button.hidden = false
    button.addEventListener('click', () => {
      show(input.type === 'password')
      input.focus()
    })
    // Browsers and password managers keep only what is sent as a password.
    input.form.addEventListener('submit', () => show(false))
  }

  // The error summary has the focus; a page that was open before may have kept it elsewhere.
  document.querySelector('.banner[autofocus]')?.focus()

  // The second press of a button does nothing until the page is shown again.
  const release = (form) => {
    delete form.dataset.sent
    for (const button of form.querySelectorAll('[aria-disabled]')) button.removeAttribute('aria-disabled')
  }
  for (const form of document.querySelectorAll('form[method="post"]')) {
    form.addEventListener('submit', (event) => {
      if (form.dataset.sent) return event.preventDefault()
      form.dataset.sent = 'yes'
      event.submitter?.setAttribute('aria-disabled', 'true')
      // A download or a lost connection must not leave a dead form behind.
      setTimeout(release, 10_000, form)
    })
  }
  addEventListener('pageshow', () => {
    for (const form of document.querySelectorAll('form[data-sent]')) release(form)
  })

  // Copy a text beside its button.
  for (const button of document.querySelectorAll('[data-copy]')) {
    button.hidden = !navigator.clipboard
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(button.dataset.copy)
      button.textContent = button.dataset.copied
      button.setAttribute('aria-label', button.dataset.copied)
    })
  }

  // The answer to an app that asked for it as a form.
  document.querySelector('form[data-submit]')?.requestSubmit()
}
