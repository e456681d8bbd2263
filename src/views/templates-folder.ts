/** Where layouts, parts, pages and assets stand, in a clone and in the published package alike. */
export const templatesFolder = new URL('../../templates/', import.meta.url)
