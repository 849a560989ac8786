"""The stores that come with goscheds. Only this folder imports a driver, and only when a URL asks for it."""
