import { PosternError } from '../../errors.ts'

type RegistrationErrorCode = 'invalid_request' | 'invalid_redirect_uri' | 'invalid_client_metadata'

/** A registration was refused (RFC 7591 §3.2.2). Its message names the field and is meant for the client. */
export class RegistrationError extends PosternError {
  constructor(code: RegistrationErrorCode, message: string) {
    super(code, message)
  }
}
